#include "cdc/apply/receipts.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <sstream>

#include "cdc/apply/batch_plan.hpp"

namespace crossfade::cdc::apply {
namespace {

using model::before_image;
using model::cell_kind;
using model::row_operation;

std::shared_ptr<table_mapping> items() {
    auto rel = std::make_shared<model::relation>();
    rel->table = {"public", "items"};
    rel->columns = {{"id", 23, -1, true}, {"note", 25, -1, false}};
    target_table target;
    target.name = rel->table;
    for (const auto& each : rel->columns) target.columns.emplace_back().name = each.name;
    return std::make_shared<table_mapping>(map_table(rel, &target, {}));
}

std::int64_t mark(const std::string& id) {
    const std::vector<std::pair<std::string_view, std::string_view>> key{{"id", id}};
    return store::row_mark({"public", "items"}, key);
}

model::cell cell_of(const std::string& text) {
    if (text == "~") return {cell_kind::null, ""};
    return text == "?" ? model::cell{cell_kind::unchanged, ""} : model::cell{cell_kind::text, text};
}

// A change a word, of transaction and row: 5+1 insert; 5=1 update; 5%1 one of which a part alone is known; 5-1 delete;
// 5=1>2 moves it; 5%1>2 likewise, by a part. `mirrored`: "5:1" says that the receipt of 5 is about row 1, "1" that
// a later one is.
struct scenario {
    const char* name;
    const char* script;
    const char* mirrored;
    const char* judged;
    const char* taken_back = "";
};
void PrintTo(const scenario& of, std::ostream* out) {
    *out << of.name;
}

model::row_change change_of(const std::string& word, const table_mapping& to) {
    model::row_change made;
    made.rel = to.rel;
    const auto kind = word[1];
    auto after = word.substr(2);
    if (const auto arrow = after.find('>'); arrow != std::string::npos || kind == '-') {
        made.before_kind = before_image::key;
        made.before = {cell_of(after.substr(0, arrow)), cell_of("~")};
        after = arrow == std::string::npos ? "" : after.substr(arrow + 1);
    }
    if (kind != '-') made.after = {cell_of(after), cell_of(kind == '%' ? "?" : "x")};
    made.operation = kind == '+' ? row_operation::insert : kind == '-' ? row_operation::remove : row_operation::update;
    return made;
}

std::string name_of(const judged_change& of) {
    const std::map<row_operation, const char*> operations{
        {row_operation::insert, "+"}, {row_operation::update, "="}, {row_operation::remove, "-"}};
    const std::map<judgement, const char*> judgements{{judgement::apply, "apply"}, {judgement::ahead, "ahead"},
                                                      {judgement::tied, "tied"},   {judgement::loosely, "loosely"},
                                                      {judgement::check, "check"}, {judgement::trusted, "trusted"}};
    const auto& change = *of.change;
    const auto& key = change.after.empty() ? change.before[0] : change.after[0];
    return operations.at(change.operation) + key.text + ':' + judgements.at(of.how);
}

class judge : public testing::TestWithParam<scenario> {
  protected:
    static void expect_of(const std::shared_ptr<table_mapping>& mapping, unsigned verified_percent = 100,
                          bool swept = false);
};

void judge::expect_of(const std::shared_ptr<table_mapping>& mapping, unsigned verified_percent, bool swept) {
    mirrored_rows mirrored;
    mirrored.swept = swept;
    std::istringstream receipts{GetParam().mirrored};
    for (std::string word; receipts >> word;) {
        if (const auto colon = word.find(':'); colon != std::string::npos) {
            mirrored.written[static_cast<store::source_xid>(word[0] - '0')].insert(mark(word.substr(colon + 1)));
        } else {
            mirrored.ahead.insert(mark(word));
        }
    }
    std::deque<model::row_change> halves;
    std::deque<model::change_event> events;
    std::istringstream words{GetParam().script};
    for (std::string word; words >> word;) {
        auto& event = events.emplace_back();
        event.at.ordinal = events.size();
        event.xid = static_cast<store::source_xid>(word[0] - '0');
        event.body = change_of(word, *mapping);
    }
    batch_judge tested{mirrored, halves, verified_percent};
    for (const auto& each : events) tested.look_at(each, std::get<model::row_change>(each.body), *mapping);
    std::string got;
    for (const auto& each : events) {
        for (const auto& part : tested.judge(each, std::get<model::row_change>(each.body), *mapping))
            got += (got.empty() ? "" : " ") + name_of(part);
    }
    EXPECT_EQ(got, GetParam().judged);
    row_marks taken_back;
    std::istringstream rows{GetParam().taken_back};
    for (std::string word; rows >> word;) taken_back.insert(mark(word));
    EXPECT_EQ(tested.taken_back(), taken_back);
}

TEST_P(judge, says_what_becomes_of_each) {
    expect_of(items());
    expect_of(items(), 0, true);  // nothing is believed of what may have been taken away again
}

class judge_of_ties : public judge {};

TEST_P(judge_of_ties, lets_them_follow_the_stream) {
    const auto mapping = items();
    mapping->tied = true;
    mapping->tied_columns = {1};
    expect_of(mapping);
    expect_of(mapping, 0);  // what ties them is written then, which isn't a matter of trust
}

class judge_of_trust : public judge {};

TEST_P(judge_of_trust, looks_at_none_but_where_something_was_written_over) {
    expect_of(items(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    receipts, judge,
    testing::Values(scenario{"none", "5+1 6=1 6-2", "", "+1:apply =1:apply -2:apply"},
                    scenario{"later_one", "5+1 5+2", "1", "+1:ahead +2:apply"},
                    scenario{"own", "5+1 5=2 5-3", "5:1 5:2 5:3", "+1:check =2:check -3:check"},
                    scenario{"of_its_rows_alone", "5+1 5+2", "5:1", "+1:check +2:apply"},
                    scenario{"of_its_transaction_alone", "5=1 6=2", "6:1 6:2", "=1:apply =2:check"},
                    scenario{"own_and_later", "5+1", "5:1 1", "+1:ahead"},
                    scenario{"twice_in_one", "5+1 5=1", "5:1", "+1:ahead =1:check"},
                    scenario{"before_a_whole_row", "4+1 5=1", "5:1", "+1:ahead =1:check"},
                    scenario{"before_a_part", "4+1 5%1", "5:1", "+1:loosely =1:check"},
                    scenario{"before_its_end", "4+1 5-1", "5:1", "+1:ahead -1:check"},
                    scenario{"behind", "5+1 6=1 6%1", "5:1", "+1:check =1:apply =1:apply"},
                    scenario{"the_last_one_counts", "5+1 6=1 7=1 8=1", "5:1 7:1",
                             "+1:ahead =1:ahead =1:check =1:apply"},
                    scenario{"moved", "5=1>2", "5:1 5:2", "-1:check +2:check"},
                    scenario{"moved_by_a_part", "5%1>2", "5:1 5:2", "-1:check =2:check"},
                    scenario{"moves_by_itself", "4=1>2 5+3", "5:3", "=2:apply +3:check"},
                    scenario{"moves_from_what_is_new", "4=1>2 5+1", "5:1", "-1:ahead +2:apply +1:check"},
                    scenario{"moves_to_what_is_later", "4=1>2", "2", "-1:apply +2:ahead"},
                    scenario{"moves_behind", "5=1 6=1>2", "5:1", "=1:check =2:apply"},
                    scenario{"no_key", "5+~", "5:~", "+:apply"}),
    [](const auto& each) { return std::string{each.param.name}; });

INSTANTIATE_TEST_SUITE_P(
    receipts, judge_of_trust,
    testing::Values(scenario{"none", "5+1 6=1 6-2", "", "+1:apply =1:apply -2:apply"},
                    scenario{"own", "5+1 5=2 5-3", "5:1 5:2 5:3", "+1:trusted =2:trusted -3:trusted"},
                    scenario{"of_its_rows_alone", "5+1 5+2", "5:1", "+1:trusted +2:apply"},
                    scenario{"own_and_later", "5+1", "5:1 1", "+1:ahead"},
                    scenario{"twice_in_one", "5+1 5=1", "5:1", "+1:ahead =1:trusted"},
                    scenario{"before_a_whole_row", "4+1 5=1", "5:1", "+1:ahead =1:trusted"},
                    scenario{"before_a_part", "4+1 5%1 5%2", "5:1 5:2", "+1:loosely =1:check =2:trusted"},
                    scenario{"behind", "5+1 6=1", "5:1", "+1:trusted =1:apply"},
                    scenario{"moved", "5=1>2", "5:1 5:2", "-1:trusted +2:trusted"},
                    scenario{"moves_to_it_by_another", "4=1>2 5+3", "5:3", "=2:apply +3:trusted"}),
    [](const auto& each) { return std::string{each.param.name}; });

INSTANTIATE_TEST_SUITE_P(
    receipts, judge_of_ties,
    testing::Values(scenario{"none", "5+1 6=1 6-2", "", "+1:apply =1:apply -2:apply"},
                    scenario{"own", "5=2 5-3", "5:2 5:3", "=2:check -3:check"},
                    scenario{"later_one", "5=1 5%1 5=2", "1", "=1:tied =1:tied =2:apply"},
                    scenario{"own_and_later", "5=1", "5:1 1", "=1:tied"},
                    scenario{"before_a_whole_row", "4=1 5=1 6=1", "5:1", "=1:tied =1:check =1:apply"},
                    scenario{"before_a_part", "4=1 5%1", "5:1", "=1:loosely =1:check"},
                    scenario{"before_its_end", "4=1 5-1 6+1", "5:1", "=1:tied -1:check +1:apply"},
                    scenario{"ends_before", "3=1 4-1 5+1 6=1 7=1", "1", "=1:tied -1:loosely +1:apply =1:apply =1:apply",
                             "1"},
                    scenario{"ends_before_its_own", "4-1 5+1 6=1", "6:1", "-1:loosely +1:apply =1:apply", "1"},
                    scenario{"begins_before", "4+1 5=1", "1", "+1:loosely =1:apply", "1"},
                    scenario{"ends_alone", "4-1 4-2", "1", "-1:loosely -2:apply", "1"},
                    scenario{"moves_away_before", "4=1>2 5=1", "1", "-1:loosely +2:apply =1:apply", "1"},
                    scenario{"moves_to_it_before", "4=1>2", "2", "-1:apply +2:loosely", "2"},
                    scenario{"moves_by_itself", "4=1>2", "3", "=2:apply"}),
    [](const auto& each) { return std::string{each.param.name}; });

TEST(is_verified, takes_a_share_of_any_transactions_that_follow_each_other) {
    for (const unsigned percent : {0U, 1U, 10U, 50U, 99U, 100U}) {
        for (const store::source_xid from : {0U, 4294900000U}) {
            for (const store::source_xid step : {1U, 2U, 100U}) {
                int taken = 0;
                for (store::source_xid i = 0; i < 10'000; ++i) taken += is_verified(from + i * step, percent) ? 1 : 0;
                EXPECT_NEAR(taken, percent * 100.0, percent % 100 == 0 ? 0 : 300) << from << ' ' << step;
            }
        }
    }
}

TEST(mark_of, needs_a_key_and_a_mapping) {
    auto mapping = items();
    const auto change = change_of("5=1>2", *mapping);
    EXPECT_EQ(mark_of(*mapping, change, row_side::before), mark("1"));
    EXPECT_EQ(mark_of(*mapping, change, row_side::after), mark("2"));
    mapping->refused = unmappable{};
    EXPECT_EQ(mark_of(*mapping, change, row_side::before), std::nullopt);
    mapping->refused.reset();
    mapping->key.clear();
    EXPECT_EQ(mark_of(*mapping, change, row_side::before), std::nullopt);
}

TEST(receipts, are_of_a_transaction_that_has_changes_of_all_their_rows) {
    const auto mapping = items();
    mirrored_rows mirrored;
    mirrored.take({{5, {mark("1"), mark("2"), mark("3")}}, {6, {mark("1")}}, {7, {}}});
    const auto met = [&](const std::string& word) {
        mirrored.meet(static_cast<store::source_xid>(word[0] - '0'), change_of(word, *mapping), *mapping);
    };
    for (const auto* word : {"5+1", "5=1", "5-1", "5=2>3", "5+4", "7+1"}) met(word);
    EXPECT_EQ(mirrored.unmet, (decltype(mirrored.unmet){{6, {mark("1")}}}));
    met("6+2");
    EXPECT_EQ(mirrored.unmet.size(), 1U);
    EXPECT_TRUE(mirrored.wrote(5, mark("2")));
}

TEST(receipts, are_asked_for_by_transactions_of_32_bits) {
    const std::vector<store::source_xid> transactions{7, 4294967295};
    EXPECT_EQ(wait_for_mirroring(transactions).parameters, (std::vector<sql_parameter>{"1667657074", "{7,-1}"}));
    EXPECT_EQ(take_receipts("app", transactions).parameters, (std::vector<sql_parameter>{"app", "{7,4294967295}"}));
}

}  // namespace
}  // namespace crossfade::cdc::apply
