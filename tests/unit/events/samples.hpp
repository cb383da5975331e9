#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/model/change.hpp"

namespace crossfade::events {

std::shared_ptr<const model::relation> orders(model::replica_identity identity = model::replica_identity::primary_key);

model::cell text(std::string value);
inline const model::cell null_cell{};
inline const model::cell unchanged{model::cell_kind::unchanged, {}};

// Every field is set, and to something that another field isn't.
model::change_event event_of(decltype(model::change_event::body) body);

struct sample {
    std::string name;
    model::change_event event;
};
// An event of every kind. Released versions have recorded them by name (released/README.md): one that is there stays
// as it is, what is new is appended.
std::vector<sample> one_of_each();

void expect_equal(const model::change_event& a, const model::change_event& b);

}  // namespace crossfade::events
