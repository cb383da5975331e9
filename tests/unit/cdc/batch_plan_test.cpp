#include "cdc/apply/batch_plan.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <sstream>

namespace crossfade::cdc::apply {
namespace {

using model::before_image;
using model::cell;
using model::cell_kind;
using model::row_operation;

// A change a word; a row is its columns' values with commas: ~ is NULL, ? an unchanged TOAST value.
//   +1,a,b insert; =1,a,b update; =1>2,a,b update of the key 1; -1 delete; T truncate; !+1,a,b a mirrored one;
//   ^=1,a,b one before a mirrored one, of which the column a ties
//   =1,a,b<1,x,y with the old row
std::deque<model::row_change> changes;

model::row row_of(const std::string& text) {
    model::row made;
    std::istringstream cells{text};
    for (std::string value; std::getline(cells, value, ',');) {
        if (value == "~") {
            made.push_back({cell_kind::null, ""});
        } else if (value == "?") {
            made.push_back({cell_kind::unchanged, ""});
        } else {
            made.push_back({cell_kind::text, value});
        }
    }
    made.resize(3);
    return made;
}

std::shared_ptr<const table_mapping> mapping(bool with_key) {
    auto rel = std::make_shared<model::relation>();
    rel->table = {"public", "t"};
    rel->identity = with_key ? model::replica_identity::primary_key : model::replica_identity::full;
    rel->columns = {{"id", 20, -1, true}, {"a", 25, -1, !with_key}, {"b", 25, -1, !with_key}};
    target_table target;
    target.name = rel->table;
    for (const char* name : {"id", "a", "b"}) {
        target_column column;
        column.name = name;
        column.type = "text";
        column.array_type = "text[]";
        target.columns.push_back(column);
    }
    if (with_key) target.keys.push_back({{"id"}, true});
    target.tied = target.columns[1].tied = with_key;
    return std::make_shared<table_mapping>(map_table(rel, &target, {}));
}

std::string text_of(const std::vector<const cell*>& values) {
    std::string text;
    for (const auto* value : values) {
        if (!text.empty()) text += ',';
        text += value == nullptr ? "?" : value->kind == cell_kind::null ? "~" : value->text;
    }
    return text;
}

struct describe {
    std::string operator()(const net_step& of) const {
        std::string text = "net(";
        for (const auto& row : of.rows) {
            if (text.back() != '(') text += ' ';
            if (row.mirrored) text += '!';
            if (row.ahead) text += '^';
            text += row.existed ? 'x' : 'o';
            text += row.exists ? 'x' : 'o';
            text += ':' + text_of(row.key);
            if (row.exists) text += "=" + text_of(row.values);
            if (row.before != nullptr) text += '<' + (*row.before)[1].text;
        }
        return text + ")";
    }
    std::string operator()(const append_step& of) const { return "append(" + std::to_string(of.rows.size()) + ")"; }
    std::string operator()(const single_step&) const { return "single"; }
};

std::string text_of(const batch_plan& plan) {
    std::string text = plan.careful ? "careful " : "";
    for (const auto& part : plan.segments) {
        if (part.truncated != nullptr) text += "truncate ";
        for (const auto& each : part.tables)
            for (const auto& one : each.steps) text += std::visit(describe{}, one) + " ";
    }
    return text;
}

struct scenario {
    const char* name;
    const char* script;
    const char* plan;
    bool with_key = true;
};
void PrintTo(const scenario& of, std::ostream* out) {
    *out << of.name;
}

// `emptied` outlives the plan.
batch_plan plan_of(const std::string& script, const std::shared_ptr<const table_mapping>& table,
                   const model::truncate& emptied, strictness how = strictness::exact) {
    batch_planner tested;
    std::istringstream words{script};
    for (std::string word; words >> word;) {
        if (word == "T") {
            tested.add(emptied, {table});
            continue;
        }
        auto& change = changes.emplace_back();
        change.rel = table->rel;
        std::optional<std::int64_t> mirrored;
        const bool tied = word[0] == '^';
        if (tied) word.erase(0, 1);
        if (word[0] == '!') {
            mirrored = 7;
            word.erase(0, 1);
        }
        change.operation = word[0] == '+'   ? row_operation::insert
                           : word[0] == '=' ? row_operation::update
                                            : row_operation::remove;
        auto text = word.substr(1);
        if (const auto old = text.find('<'); old != std::string::npos) {
            change.before_kind = before_image::whole;
            change.before = row_of(text.substr(old + 1));
            text = text.substr(0, old);
        }
        if (const auto arrow = text.find('>'); arrow != std::string::npos) {
            change.before_kind = before_image::key;
            change.before = row_of(text.substr(0, arrow));
            text = text.substr(arrow + 1);
        }
        if (change.operation == row_operation::remove) {
            change.before_kind = before_image::key;
            change.before = row_of(text);
        } else {
            change.after = row_of(text);
        }
        tied ? tested.add_tied(change, table) : tested.add(change, table, how, mirrored);
    }
    return tested.take();
}

class planner : public testing::TestWithParam<scenario> {};

TEST_P(planner, nets) {
    const model::truncate emptied;
    const auto plan = plan_of(GetParam().script, mapping(GetParam().with_key), emptied);
    const auto got = text_of(plan);
    if (!plan.careful) {
        EXPECT_EQ(got, std::string{GetParam().plan} + " ");
    } else {
        EXPECT_EQ(got.substr(0, 7), GetParam().plan);
    }
}

INSTANTIATE_TEST_SUITE_P(
    scripts, planner,
    testing::Values(scenario{"insert", "+1,a,b +2,c,~", "net(ox:1=1,a,b ox:2=2,c,~)"},
                    scenario{"updates_merge", "=1,a,b =1,c,d", "net(xx:1=1,c,d)"},
                    scenario{"unchanged_keeps_what_was_written", "=1,a,b =1,c,?", "net(xx:1=1,c,b)"},
                    scenario{"unchanged_stays_unknown", "=1,a,? =1,c,?", "net(xx:1=1,c,?)"},
                    scenario{"unchanged_after_insert", "+1,a,b =1,c,?", "net(ox:1=1,c,b)"},
                    scenario{"unchanged_is_not_null", "=1,~,?", "net(xx:1=1,~,?)"},
                    scenario{"insert_then_delete_leaves_none", "+1,a,b -1", "net(oo:1)"},
                    scenario{"delete_then_insert_is_an_update", "-1 +1,a,b", "net(xx:1=1,a,b)"},
                    scenario{"update_then_delete", "=1,a,b -1", "net(xo:1)"},
                    scenario{"delete_insert_delete", "-1 +1,a,b -1", "net(xo:1)"},
                    scenario{"key_change_stands_alone", "=1,a,b =1>2,a,b =2,c,d",
                             "net(xx:1=1,a,b) single net(xx:2=2,c,d)"},
                    scenario{"key_sent_but_same", "=1>1,a,b", "net(xx:1=1,a,b)"},
                    scenario{"truncate_is_a_barrier", "+1,a,b T +1,c,d", "net(ox:1=1,a,b) truncate net(ox:1=1,c,d)"},
                    scenario{"twice_inserted", "+1,a,b +1,a,b", "careful"},
                    scenario{"updated_after_delete", "-1 =1,a,b", "careful"},
                    scenario{"mirrored_alone", "!+1,a,b !=2,a,? !-3", "net(!xx:1=1,a,b !xx:2=2,a,? !oo:3)"},
                    scenario{"mirrored_last", "+1,a,b !=1,c,?", "net(!xx:1=1,c,b)"},
                    scenario{"mirrored_last_whatever_it_finds", "-1 !=1,c,?", "net(!xx:1=1,c,?)"},
                    scenario{"mirrored_over_an_old_row", "=1,a,b<1,x,y !=1,c,d<1,a,b", "net(!xx:1=1,c,d)"},
                    scenario{"behind_a_mirrored_one", "!+1,a,b =1,c,?<1,a,b", "net(xx:1=1,c,b<a)"},
                    scenario{"behind_a_mirrored_one_twice", "!+1,a,b =1,c,d<1,a,b =1,e,f<1,c,d", "net(xx:1=1,e,f<a)"},
                    scenario{"removed_behind_a_mirrored_one", "+1,a,b !=1,c,d -1", "net(xo:1)"},
                    scenario{"new_behind_a_mirrored_end", "!-1 +1,a,b", "net(ox:1=1,a,b)"},
                    scenario{"a_new_one_over_a_mirrored_one", "!+1,a,b +1,c,d", "careful"},
                    scenario{"tied_alone", "^=1,a,b ^=1,c,d ^=2,?,x", "net(^xx:1=?,c,? ^xx:2=?,?,?)"},
                    scenario{"tied_and_mirrored", "^=1,a,b !=1,c,?", "net(!xx:1=1,c,?)"},
                    scenario{"tied_and_mirrored_by_a_part", "^=1,a,b !=1,?,d", "net(!xx:1=1,a,d)"},
                    scenario{"tied_mirrored_and_more", "^=1,a,b !=1,c,d =1,e,f", "net(xx:1=1,e,f)"},
                    scenario{"tied_and_gone", "^=1,a,b -1 +1,c,d", "net(xx:1=1,c,d)"},
                    scenario{"tied_and_mirrored_end", "^=1,a,b !-1", "net(!oo:1)"},
                    scenario{"no_key_appends", "+1,a,b +1,a,b", "append(2)", false},
                    scenario{"no_key_keeps_order", "+1,a,b -1,a,b +1,a,b", "append(1) single append(1)", false}),
    [](const auto& each) { return std::string{each.param.name}; });

// The row may have gone before it could be copied.
TEST(planner, a_new_row_of_a_table_that_is_copied_is_new_whatever_came_before_it) {
    const model::truncate emptied;
    for (const auto how : {strictness::copied_over, strictness::settling}) {
        EXPECT_EQ(text_of(plan_of("-1 +1,a,b", mapping(true), emptied, how)), "net(ox:1=1,a,b) ");
        EXPECT_EQ(text_of(plan_of("=1,x,y -1 +1,a,b =1,c,?", mapping(true), emptied, how)), "net(ox:1=1,c,b) ");
    }
}

// Those that no UPDATE sets.
TEST(planner, a_row_that_came_again_is_written_anew_where_it_has_a_column_that_is_always_generated) {
    const model::truncate emptied;
    auto own = std::make_shared<table_mapping>(*mapping(true));
    own->always = {1};
    const auto anew = [&](const std::string& script) {
        const auto plan = plan_of(script, own, emptied);
        return std::get<net_step>(plan.segments.front().tables.front().steps.front()).rows.front().anew;
    };
    EXPECT_TRUE(anew("-1 +1,a,b"));
    EXPECT_TRUE(anew("-1 +1,a,b =1,c,?"));
    EXPECT_FALSE(anew("=1,a,b"));
    EXPECT_FALSE(anew("+1,a,b =1,c,d"));
    EXPECT_TRUE(plan_of("=1,a,b", own, emptied, strictness::copied_over).careful);
}

TEST(touched_rows, tell_which_batches_may_be_written_side_by_side) {
    const model::truncate emptied;
    const auto keyed = mapping(true);
    const auto rows_of = [&](const std::string& script) { return touched(plan_of(script, keyed, emptied)); };
    const auto apart = [&](const std::string& one, const std::string& other) {
        return disjoint(rows_of(one).value(), rows_of(other).value());
    };
    EXPECT_TRUE(apart("+1,a,b =2,c,d -3", "+4,a,b =5,c,d -6"));
    EXPECT_TRUE(apart("+1,2,b", "+2,1,b"));  // keys, not other columns
    for (const char* second : {"=1,x,y", "-1", "=1>9,a,b", "=9>1,a,b", "=7,a,b =1,a,b"}) {
        EXPECT_FALSE(apart("+5,a,b +1,a,b", second)) << second;
    }
    EXPECT_FALSE(apart("=1>2,a,b", "=2,c,d"));
    EXPECT_TRUE(apart("=1>2,a,b", "=3>4,a,b"));

    EXPECT_FALSE(rows_of("+1,a,b T"));
    EXPECT_FALSE(rows_of("+1,a,b +1,a,b"));
    const auto keyless = mapping(false);
    const auto appended = touched(plan_of("+1,a,b +1,a,b", keyless, emptied));
    ASSERT_TRUE(appended);
    EXPECT_TRUE(disjoint(*appended, *appended));  // each is a row of its own
    EXPECT_FALSE(touched(plan_of("+1,a,b -1,a,b", keyless, emptied)));
}

TEST(table_mapping, names_what_is_missing) {
    auto rel = std::make_shared<model::relation>();
    rel->table = {"public", "t"};
    rel->columns = {{"id", 20, -1, true}, {"gone", 25, -1, false}};
    EXPECT_EQ(map_table(rel, nullptr, {}).refused->sqlstate, "42P01");
    target_table target;
    target.columns.emplace_back().name = "id";
    const auto made = map_table(rel, &target, "gone");
    EXPECT_EQ(made.refused->sqlstate, "42703");
    EXPECT_NE(made.refused->reason.find("gone"), std::string::npos);
    EXPECT_EQ(made.tenant, 1U);
}

}  // namespace
}  // namespace crossfade::cdc::apply
