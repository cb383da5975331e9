#pragma once

#include <optional>
#include <string>

#include "ctl/init/journal.hpp"
#include "ctl/init/way.hpp"

// Tables that join a stream that runs: of their rows those are in it alone that are written from then on.
namespace crossfade::ctl::init {

// The way back has no copy for what some tenants have written on modern while legacy takes others' writes.
std::optional<objection> object_to_joining(way& at);

// Of the stream to modern, in front of what adds them to the publication: no change of one is to find a follower that
// hasn't got its row. Marks as `new` whatever legacy may have rows of that modern lacks.
void mark_joining(way& at, journal& done);

// Adds those of the way back to the publication of which modern takes writes, each by itself, while its writers wait:
// one with rows is marked as `new` on legacy, so that no flip goes back before they are there. Throws stop.
void join_way_back(way& at, journal& done);
// Whether the table is one of these.
bool joins_by_itself(const way& at, const catalog::table& table);

}  // namespace crossfade::ctl::init
