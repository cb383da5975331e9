#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/settings/reload.hpp"
#include "proxy/strategy/plan.hpp"

namespace crossfade::proxy::strategy {

// Whether the session's tables have more than one authority, so that where a statement goes depends on its tables
// (docs/adr/0028). To be asked once for each configuration.
bool is_divided(const settings::in_force& flags, const session_facts& session);

// Of the catalogs, which each server has for itself. No schema where the text has none.
bool is_postgresqls(std::string_view schema, std::string_view table);

// Schemas in which a table without one may be, in the order in which they are looked at: public, and those that the
// file's patterns name.
std::vector<std::string> schemas_named(const settings::configuration& config);

// Who is the authority of the tables that a session's statements name.
class group_sides {
  public:
    group_sides(settings::snapshot flags, const session_facts& session);

    // Of what is in no group, and of what isn't known.
    settings::side home() const { return home_; }
    struct place {
        settings::side at = settings::side::legacy;
        std::string_view group{};  // empty: in none
    };
    // By the catalog's spelling; no schema where the text has none. Nothing: PostgreSQL's own, which both sides have.
    std::optional<place> of(std::string_view schema, std::string_view table) const;

  private:
    place place_in(std::string_view group) const;
    place without_schema(std::string_view table) const;

    settings::snapshot flags_;
    std::string tenant_;
    settings::side home_;
    std::vector<std::string> schemas_;  // that the file names
};

}  // namespace crossfade::proxy::strategy
