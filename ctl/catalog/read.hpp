#pragma once

#include <string>
#include <vector>

#include "ctl/catalog/facts.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"
#include "lib/store/authority.hpp"

namespace crossfade::ctl::catalog {

// Tables that `patterns` name, with columns, keys, ties and triggers. Schema crossfade, the catalogs and temporary
// tables are never among them; a partition only where its root is not.
std::vector<table> read_tables(pgclient::connection& from, const std::vector<std::string>& patterns);

std::vector<foreign_key> read_foreign_keys(pgclient::connection& from, const std::vector<table>& tables);
std::optional<slot> read_slot(pgclient::connection& from, const std::string& name);
std::optional<publication> read_publication(pgclient::connection& from, const std::string& name);
store_facts read_store(pgclient::connection& from, const std::string& stream);
// nullopt: the stream has not begun. Fails, as ask() does, where `crossfade init` has not run.
std::optional<progress> read_progress(pgclient::connection& from, const std::string& stream);
role read_role(pgclient::connection& from);
// The newer of both databases' rows; nullopt: there is none. Fails where one can't be asked.
std::optional<store::authority_row> newest_authority(const std::string& stream, pgclient::connection& legacy,
                                                     pgclient::connection& modern);

// All of it.
database read_database(pgclient::connection& from, const settings::stream& stream);

}  // namespace crossfade::ctl::catalog
