#include "cdc/apply/ddl_decision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crossfade::cdc::apply {
namespace {

using events::ddl_effect;
using events::ddl_notice;
using events::ddl_policy;
using testing::HasSubstr;

// A command of table public.t (id integer, v text) on legacy.
ddl_notice notice(ddl_policy policy, const std::string& statement) {
    ddl_notice made;
    made.tag = "ALTER TABLE";
    made.policy = policy;
    made.tables = {{{"public", "t"}, ddl_effect::altered, "public.t", {{"id", "integer"}, {"v", "text"}}}};
    made.direct = made.whole = true;
    made.statement = statement;
    return made;
}

const std::vector<shape_column> fitting{{"id", "integer"}, {"v", "text"}};
const std::vector<shape_column> without_v{{"id", "integer"}};

std::string outcome(const ddl_notice& seen, const table_shape& modern) {
    const auto change = sql::read_table_change(seen.statement);
    const auto made = decide(seen, change, {modern});
    return std::string{to_string(made.what)} + (made.paused.empty() ? "" : " or pause") + ": " + made.advice;
}

constexpr const char* add = "ALTER TABLE public.t ADD v text";

TEST(ddl_decision, pauses_what_modern_can_not_take) {
    EXPECT_EQ(outcome(notice(ddl_policy::pause, add), without_v),
              "paused or pause: modern's table public.t has no column v: make the same change on modern");
    EXPECT_EQ(outcome(notice(ddl_policy::pause, add), std::nullopt),
              "paused or pause: modern has no table public.t: make the same change on modern");
    EXPECT_EQ(outcome(notice(ddl_policy::pause, add), fitting), "noted: modern takes the rows of public.t as it is");
    EXPECT_THAT(outcome(notice(ddl_policy::note, add), without_v), testing::StartsWith("noted: modern's table"));
}

TEST(ddl_decision, compares_types_of_columns_that_got_another_one) {
    const std::vector<shape_column> wider{{"id", "bigint"}, {"v", "text"}};
    EXPECT_THAT(outcome(notice(ddl_policy::pause, add), wider), testing::StartsWith("noted")) << "on purpose";
    EXPECT_THAT(outcome(notice(ddl_policy::pause, "ALTER TABLE public.t ALTER id TYPE int"), wider),
                HasSubstr("id is integer on legacy and bigint on modern"));
    auto by_function = notice(ddl_policy::pause, add);
    by_function.direct = false;
    EXPECT_THAT(outcome(by_function, wider), testing::StartsWith("paused")) << "of what isn't known everything counts";
}

TEST(ddl_decision, knows_a_column_that_only_modern_has) {
    EXPECT_THAT(outcome(notice(ddl_policy::pause, "ALTER TABLE public.t DROP w"),
                        std::vector<shape_column>{{"id", "integer"}, {"v", "text"}, {"w", "text"}}),
                testing::StartsWith("noted"));
    EXPECT_THAT(outcome(notice(ddl_policy::pause, "ALTER TABLE public.t DROP w"),
                        std::vector<shape_column>{{"id", "integer"}, {"v", "text"}, {"w", "text", true}}),
                HasSubstr("demands column w"));
}

TEST(ddl_decision, pauses_where_modern_computes_what_legacy_has_values_of) {
    auto written = notice(ddl_policy::pause, "ALTER TABLE public.t ALTER v DROP EXPRESSION");
    const std::vector<shape_column> generating{{"id", "integer"}, {"v", "text", false, true}};
    EXPECT_EQ(
        outcome(written, generating),
        "paused or pause: modern's table public.t generates v, which legacy has values of: make the same change on "
        "modern");
    written.tables.front().columns = {{"id", "integer"}};
    EXPECT_THAT(outcome(written, generating), testing::StartsWith("noted")) << "it is generated on both";
}

TEST(ddl_decision, pauses_where_rows_were_computed_anew) {
    auto converted = notice(ddl_policy::pause, "ALTER TABLE public.t ALTER id TYPE int");
    converted.rewritten = true;
    EXPECT_THAT(outcome(converted, fitting), testing::StartsWith("noted"));
    // Of a time, perhaps, as the session writes it.
    auto written = notice(ddl_policy::pause, "ALTER TABLE public.t ALTER v TYPE text");
    EXPECT_THAT(outcome(written, fitting), testing::StartsWith("noted"));
    written.rewritten = true;
    EXPECT_THAT(outcome(written, fitting), HasSubstr("paused or pause: legacy has computed rows anew"));
    written.policy = ddl_policy::pass;
    EXPECT_THAT(outcome(written, fitting), HasSubstr("not passed on: legacy has computed rows anew"));
    written.rewritten = false;
    EXPECT_THAT(outcome(written, fitting), testing::StartsWith("passed:"));
    auto computed = notice(ddl_policy::pause, "ALTER TABLE public.t ALTER v TYPE text USING v || '!'");
    computed.rewritten = true;
    EXPECT_THAT(outcome(computed, fitting), HasSubstr("paused or pause: legacy has computed rows anew"));
    computed.policy = ddl_policy::pass;
    EXPECT_THAT(outcome(computed, fitting), HasSubstr("not passed on: USING may compute something else"));
}

// The same default again would have computed other values on modern.
TEST(ddl_decision, says_that_a_column_of_computed_values_is_to_be_copied) {
    auto random = notice(ddl_policy::pause, "ALTER TABLE public.t ADD v text DEFAULT gen_random_uuid()");
    random.rewritten = true;
    const std::string copy = "legacy has computed rows anew, which are not in the stream: copy it again: ";
    EXPECT_EQ(outcome(random, without_v),
              "paused or pause: modern's table public.t has no column v: make the same change on modern; " + copy +
                  "crossfade backfill --tables public.t");
    const auto at_once = notice(ddl_policy::pause, "ALTER TABLE public.t ADD v text DEFAULT now()");
    EXPECT_THAT(outcome(at_once, without_v), HasSubstr(copy));
    EXPECT_EQ(outcome(at_once, fitting), "paused or pause: " + copy + "crossfade backfill --tables public.t");
    EXPECT_THAT(outcome(notice(ddl_policy::pause, "ALTER TABLE public.t ADD v text DEFAULT 'a'"), without_v),
                testing::Not(HasSubstr(copy)));
}

// The type's default computes them, as each database says it.
TEST(ddl_decision, pauses_where_a_new_column_has_values_by_its_type) {
    auto filled = notice(ddl_policy::pause, "ALTER TABLE public.t ADD v public.stamp");
    EXPECT_THAT(outcome(filled, fitting), testing::StartsWith("noted"));
    filled.rewritten = true;
    EXPECT_THAT(outcome(filled, fitting), HasSubstr("paused or pause: legacy has computed rows anew"));
    filled.policy = ddl_policy::pass;
    EXPECT_THAT(outcome(filled, without_v), HasSubstr("not passed on: a new column's values may be computed"));
}

// A migration that is repeated leaves the column as it is, and its rows.
TEST(ddl_decision, looks_whether_a_column_is_new) {
    auto again = notice(ddl_policy::pause, "ALTER TABLE public.t ADD COLUMN IF NOT EXISTS v text DEFAULT now()");
    EXPECT_THAT(outcome(again, fitting), HasSubstr("legacy has computed rows anew")) << "nobody says that it isn't new";
    again.tables.front().fresh = std::vector<std::string>{"v"};
    EXPECT_THAT(outcome(again, fitting), HasSubstr("legacy has computed rows anew"));
    again.tables.front().fresh = std::vector<std::string>{};
    EXPECT_THAT(outcome(again, fitting), testing::StartsWith("noted"));
    again.policy = ddl_policy::pass;
    EXPECT_THAT(outcome(again, fitting), testing::StartsWith("noted"));
}

TEST(ddl_decision, passes_one_whole_statement_on_one_captured_table) {
    EXPECT_THAT(outcome(notice(ddl_policy::pass, add), without_v), testing::StartsWith("passed or pause"));
    EXPECT_THAT(outcome(notice(ddl_policy::pass, add), fitting), testing::StartsWith("passed:"));
    EXPECT_THAT(outcome(notice(ddl_policy::pass, "ALTER TABLE t ADD v text"), fitting), testing::StartsWith("passed:"));
    const auto refused = [](auto change) {
        auto seen = notice(ddl_policy::pass, add);
        change(seen);
        return outcome(seen, without_v);
    };
    EXPECT_THAT(refused([](auto& seen) { seen.direct = false; }), HasSubstr("not passed on: a function or DO"));
    EXPECT_THAT(refused([](auto& seen) { seen.whole = false; }), HasSubstr("not passed on: its text was cut"));
    EXPECT_THAT(refused([](auto& seen) { seen.statement = "ALTER TABLE public.u ADD v text"; }),
                HasSubstr("not passed on: its text names another table"));
    EXPECT_THAT(refused([](auto& seen) { seen.statement = "ALTER TABLE other.t ADD v text"; }),
                HasSubstr("not passed on: its text names another table"));
    EXPECT_THAT(refused([](auto& seen) { seen.statement = "ALTER TABLE t ADD v text; SELECT 1"; }),
                HasSubstr("not passed on: one of several"));
    EXPECT_THAT(refused([](auto& seen) { seen.tables.front().effect = ddl_effect::partition_altered; }),
                HasSubstr("not passed on: it is no change of one captured table"));
}

TEST(ddl_decision, lets_go_on_what_changes_no_row) {
    const auto noted = [](ddl_effect effect, const char* tag) {
        auto seen = notice(ddl_policy::pass, "");
        seen.tag = tag;
        seen.tables.front().effect = effect;
        return outcome(seen, without_v);
    };
    EXPECT_EQ(noted(ddl_effect::harmless, "CREATE INDEX"), "noted: modern may want the index, too");
    EXPECT_EQ(noted(ddl_effect::dropped, "DROP TABLE"), "noted: public.t is gone on legacy; modern still has it");
    EXPECT_EQ(noted(ddl_effect::partition_dropped, "DROP TABLE"),
              "noted: rows of public.t are gone on legacy; modern still has them");
    EXPECT_THAT(outcome(notice(ddl_policy::pass, "ALTER TABLE public.t SET (fillfactor = 50)"), without_v),
                testing::StartsWith("noted"));
    EXPECT_THAT(noted(ddl_effect::altered, "ALTER TYPE"), testing::StartsWith("paused"));
}

TEST(ddl_decision, does_nothing_for_a_table_that_is_not_applied) {
    const auto made = decide(notice(ddl_policy::pass, add), sql::read_table_change(add), {std::nullopt});
    EXPECT_EQ(made.what, ddl_action::note);
    EXPECT_TRUE(made.paused.empty());
}

}  // namespace
}  // namespace crossfade::cdc::apply
