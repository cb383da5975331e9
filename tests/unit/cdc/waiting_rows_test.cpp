#include "cdc/apply/waiting_rows.hpp"

#include <gtest/gtest.h>

namespace crossfade::cdc::apply {
namespace {

using model::before_image;
using model::cell;
using model::cell_kind;
using model::replica_identity;
using model::row_operation;

cell text(std::string of) {
    return {cell_kind::text, std::move(of)};
}
const cell null{cell_kind::null, {}};
const cell unchanged{cell_kind::unchanged, {}};

std::shared_ptr<const model::relation> relation(replica_identity identity) {
    model::relation made;
    made.table = {"public", "t"};
    made.identity = identity;
    made.columns = {{"id", 23, -1, identity != replica_identity::nothing},
                    {"v", 25, -1, identity == replica_identity::full}};
    return std::make_shared<model::relation>(std::move(made));
}
const auto keyed = relation(replica_identity::primary_key);
const auto whole = relation(replica_identity::full);
const std::string t = "public.t";

// Written by whole rows where the relation names no key.
const table_mapping by_rows;
table_mapping by_id() {
    table_mapping made;
    made.columns = {{0, {}}, {1, {}}};
    made.key = {0};
    return made;
}

waiting_rows::hashes rows_of(const model::row_change& change, const table_mapping& mapping = by_rows) {
    return waiting_rows::of(change, mapping);
}

model::row_change inserted(const std::shared_ptr<const model::relation>& rel, model::row after) {
    return {rel, row_operation::insert, before_image::absent, {}, std::move(after)};
}
model::row_change updated(const std::shared_ptr<const model::relation>& rel, before_image kind, model::row before,
                          model::row after) {
    return {rel, row_operation::update, kind, std::move(before), std::move(after)};
}
model::row_change removed(const std::shared_ptr<const model::relation>& rel, before_image kind, model::row before) {
    return {rel, row_operation::remove, kind, std::move(before), {}};
}

TEST(waiting_rows, are_known_by_their_key) {
    waiting_rows rows;
    rows.add(t, rows_of(inserted(keyed, {text("1"), text("a")})));
    EXPECT_TRUE(rows.holds(t, updated(keyed, before_image::absent, {}, {text("1"), text("b")}), by_rows));
    EXPECT_TRUE(rows.holds(t, removed(keyed, before_image::key, {text("1"), null}), by_rows));
    EXPECT_FALSE(rows.holds(t, inserted(keyed, {text("2"), text("a")}), by_rows));
    EXPECT_FALSE(rows.holds("public.other", inserted(keyed, {text("1"), text("a")}), by_rows));
}

TEST(waiting_rows, wait_under_both_keys_of_an_update_that_changes_it) {
    waiting_rows rows;
    rows.add(t, rows_of(updated(keyed, before_image::key, {text("1"), null}, {text("2"), text("a")})));
    EXPECT_TRUE(rows.holds(t, inserted(keyed, {text("1"), text("x")}), by_rows));
    EXPECT_TRUE(rows.holds(t, inserted(keyed, {text("2"), text("x")}), by_rows));
    EXPECT_TRUE(rows.holds(t, updated(keyed, before_image::key, {text("3"), null}, {text("1"), text("a")}), by_rows));
}

TEST(waiting_rows, without_a_key_are_known_by_all_they_hold) {
    waiting_rows rows;
    rows.add(t, rows_of(inserted(whole, {text("1"), text("a")})));
    EXPECT_TRUE(rows.holds(t, removed(whole, before_image::whole, {text("1"), text("a")}), by_rows));
    EXPECT_FALSE(rows.holds(t, removed(whole, before_image::whole, {text("1"), text("b")}), by_rows));
    EXPECT_FALSE(rows.holds(t, removed(whole, before_image::whole, {text("1"), null}), by_rows));
    // An unchanged TOAST value is in the row before.
    const auto moved = updated(whole, before_image::whole, {text("5"), text("a")}, {text("1"), unchanged});
    EXPECT_TRUE(rows.holds(t, moved, by_rows));
}

// Of which an INSERT that waits has other values than the DELETE behind it, and than whatever has the key later.
TEST(waiting_rows, under_replica_identity_full_are_known_by_the_key_by_which_they_are_written_too) {
    waiting_rows rows;
    rows.add(t, rows_of(updated(whole, before_image::whole, {text("1"), text("a")}, {text("2"), unchanged}), by_id()));
    EXPECT_TRUE(rows.holds(t, inserted(whole, {text("1"), text("b")}), by_id()));
    EXPECT_TRUE(rows.holds(t, removed(whole, before_image::whole, {text("2"), text("c")}), by_id()));
    EXPECT_FALSE(rows.holds(t, inserted(whole, {text("3"), text("a")}), by_id()));
    // What was noted before there was a key.
    EXPECT_TRUE(rows.holds(t, inserted(whole, {text("1"), text("a")}), by_rows));
}

TEST(waiting_rows, are_all_of_a_table_of_which_no_key_is_known_yet) {
    table_mapping missing;
    missing.refused = unmappable{"42P01", "the follower has no table public.t"};
    EXPECT_EQ(rows_of(inserted(whole, {text("1"), text("a")}), missing), waiting_rows::hashes{waiting_rows::every_row});
    EXPECT_EQ(rows_of(inserted(keyed, {text("1"), text("a")}), missing),
              rows_of(inserted(keyed, {text("1"), text("a")})));
}

// By a collation that isn't deterministic, for instance: 'Bob' and 'bob' are one row there, or two.
TEST(waiting_rows, are_all_of_a_table_whose_keys_are_equal_in_several_ways) {
    auto folding = by_id();
    folding.columns[0].target.one_text = false;
    waiting_rows rows;
    rows.add(t, rows_of(removed(keyed, before_image::key, {text("Bob"), null}), folding));
    EXPECT_TRUE(rows.holds(t, inserted(keyed, {text("bob"), text("a")}), folding));
    EXPECT_FALSE(rows.holds("public.other", inserted(keyed, {text("bob"), text("a")}), folding));
    // What was noted before that was known, as by an earlier version.
    waiting_rows noted;
    noted.add(t, rows_of(removed(keyed, before_image::key, {text("Bob"), null})));
    EXPECT_TRUE(noted.holds(t, inserted(keyed, {text("bob"), text("a")}), folding));
    // Modern compares texts, too.
    folding.columns[0].target.equals = "OPERATOR(public.=)";
    EXPECT_EQ(rows_of(inserted(keyed, {text("bob"), null}), folding), rows_of(inserted(keyed, {text("bob"), null})));
}

TEST(waiting_rows, of_numbers_and_of_padded_texts_are_known_by_what_is_equal) {
    for (const auto& [oid, type] : {std::pair{1700U, "bigint"}, std::pair{25U, "numeric"}}) {
        auto numbers = std::make_shared<model::relation>(*keyed);
        numbers->columns[0].type_oid = oid;
        auto mapping = by_id();
        mapping.columns[0].target.type = type;
        mapping.columns[0].target.one_text = false;
        waiting_rows rows;
        rows.add(t, rows_of(removed(numbers, before_image::key, {text("1.0"), null}), mapping));
        for (const auto* equal : {"1", "1.00", "1.0"})
            EXPECT_TRUE(rows.holds(t, inserted(numbers, {text(equal), null}), mapping)) << type << equal;
        for (const auto* other : {"10", "1.01", "0", "NaN"})
            EXPECT_FALSE(rows.holds(t, inserted(numbers, {text(other), null}), mapping)) << type << other;
    }
    auto padded = by_id();
    padded.columns[0].target.type = "bpchar";
    padded.columns[0].target.one_text = false;
    waiting_rows rows;
    rows.add(t, rows_of(removed(keyed, before_image::key, {text("a  "), null}), padded));
    EXPECT_TRUE(rows.holds(t, inserted(keyed, {text("a"), null}), padded));
    EXPECT_FALSE(rows.holds(t, inserted(keyed, {text("b"), null}), padded));
}

// As a key, a replica identity or a column's type has changed on both sides.
TEST(waiting_rows, are_all_of_a_table_whose_rows_are_known_by_something_else_now) {
    const auto other = [](const auto& rel, auto change) {
        auto made = std::make_shared<model::relation>(*rel);
        change(*made);
        return made;
    };
    const auto retyped = other(keyed, [](auto& rel) { rel.columns[0].type_modifier = 4; });
    const auto renamed = other(keyed, [](auto& rel) { rel.columns[0].name = "no"; });
    const auto by_both = other(keyed, [](auto& rel) { rel.columns[1].key = true; });
    for (const auto& rel : {retyped, renamed, by_both}) {
        waiting_rows rows;
        rows.add(t, rows_of(inserted(keyed, {text("1"), text("a")})));
        EXPECT_FALSE(rows.holds(t, inserted(keyed, {text("2"), text("a")}), by_rows));
        EXPECT_TRUE(rows.holds(t, inserted(rel, {text("2"), text("a")}), by_rows));
        rows.add(t, rows_of(inserted(rel, {text("2"), text("a")})));
        EXPECT_TRUE(rows.holds(t, inserted(keyed, {text("3"), text("a")}), by_rows));
    }
    const auto longer = other(whole, [](auto& rel) { rel.columns.push_back({"more", 25, -1, true}); });
    waiting_rows rows;
    rows.add(t, rows_of(inserted(whole, {text("1"), text("a")})));
    EXPECT_TRUE(rows.holds(t, inserted(longer, {text("2"), text("a"), null}), by_rows));
    // By modern's key, too, which may be another one.
    EXPECT_TRUE(rows.holds(t, inserted(whole, {text("2"), text("a")}), by_id()));
}

TEST(waiting_rows, values_do_not_run_into_each_other) {
    EXPECT_NE(rows_of(inserted(whole, {text("ab"), text("c")})), rows_of(inserted(whole, {text("a"), text("bc")})));
    EXPECT_NE(rows_of(inserted(whole, {text(""), null})), rows_of(inserted(whole, {null, text("")})));
}

TEST(waiting_rows, of_a_table_that_waits_whole_are_all) {
    waiting_rows rows;
    rows.add(t, {waiting_rows::every_row});
    EXPECT_TRUE(rows.holds(t, inserted(keyed, {text("7"), null}), by_rows));
    EXPECT_EQ(rows.size(), 1U);
    rows.clear(t);
    EXPECT_FALSE(rows.any(t));
}

TEST(waiting_rows, beyond_their_bound_are_the_whole_table) {
    waiting_rows rows;
    const auto of = [](std::size_t id) { return rows_of(inserted(keyed, {text(std::to_string(id)), null})); };
    for (std::size_t i = 1; i <= waiting_rows::most_rows; ++i) rows.add(t, of(i));
    EXPECT_FALSE(rows.holds(t, of(0)));
    EXPECT_EQ(rows.size(), waiting_rows::most_rows);
    rows.add(t, of(waiting_rows::most_rows + 1));
    EXPECT_TRUE(rows.holds(t, of(0)));
    EXPECT_EQ(rows.size(), 1U);
}

// They are in the database: another version has to find them again. Before there was an identity in them they were
// others, which now stand for the whole table.
TEST(waiting_rows, hash_as_ever) {
    EXPECT_EQ(rows_of(inserted(keyed, {text("1"), text("a")})), (waiting_rows::hashes{6733955346562915226U}));
    EXPECT_EQ(rows_of(inserted(whole, {text("1"), null})), (waiting_rows::hashes{4922679623746927972U}));
    waiting_rows rows;
    rows.add(t, {1353982638068712585U});
    EXPECT_TRUE(rows.holds(t, inserted(keyed, {text("2"), text("a")}), by_rows));
}

}  // namespace
}  // namespace crossfade::cdc::apply
