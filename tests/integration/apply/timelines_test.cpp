// The source goes on to another timeline while tables are being copied, or were.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/integration/apply/stream_script.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::cdc {
namespace {

using testing::HasSubstr;

const auto journal = table("journal", {"id!", "what"});

class timelines : public testing::Test {
  protected:
    timelines() {
        from_.commit({insert(journal, {"1", "old"})});
        from_.flush();
    }
    // The first transaction of timeline 2, which legacy went on to where the stream is.
    void promote(std::size_t rows = 1) { promote(from_, rows); }
    void promote(publisher& by, std::size_t rows = 1) {
        auto events = new_rows(rows);
        events.front().left = {{1, model::lsn{from_.end()}}};
        by.timeline = 2;
        by.commit(std::move(events));
        by.flush();
    }
    static std::vector<model::change_event> new_rows(std::size_t many) {
        std::vector<model::change_event> events;
        for (std::size_t i = 0; i < many; ++i)
            events.push_back(insert(journal, {std::to_string(100 + i), std::string(1000, 'x')}));
        return events;
    }
    void copied_to(std::uint64_t lsn) {
        at_.exec(
            "INSERT INTO crossfade.tables (stream, table_name, state, copied_lsn) VALUES ('app', 'public.journal', "
            "'live', '" +
            model::to_string(model::lsn{lsn}) + "')");
    }

    stream_fixture at_{"CREATE TABLE public.journal (id int PRIMARY KEY, what text)", ", batch_bytes: 64KiB"};
    publisher from_ = at_.publish_as(1);
};

TEST_F(timelines, a_copy_that_both_have_is_gone_on_from) {
    copied_to(stream_fixture::start_lsn);
    at_.exec("INSERT INTO crossfade.backfills (stream, table_name, state) VALUES ('app', 'public.journal', 'done')");
    promote(200);
    at_.cdc->start();
    ASSERT_TRUE(at_.applied(from_)) << at_.cdc->log();
    EXPECT_EQ(at_.one("SELECT count(*) FROM public.journal"), "201");
    EXPECT_EQ(at_.one("SELECT timeline FROM crossfade.progress"), "2");
    EXPECT_EQ(at_.one("SELECT state FROM crossfade.backfills"), "done");
}

// The rows behind the end are in the copy, and legacy hasn't got them; and what it has there now would be left out.
class timelines_of : public timelines, public testing::WithParamInterface<std::size_t> {};

TEST_P(timelines_of, a_copy_of_what_was_lost_is_a_loud_stop) {
    copied_to(from_.end() + 0x80);
    promote(GetParam());
    at_.cdc->start();
    ASSERT_TRUE(at_.in_state("stopped")) << at_.status();
    EXPECT_THAT(at_.status(), HasSubstr("these were copied from what was behind it: public.journal"));
    EXPECT_EQ(at_.one("SELECT timeline FROM crossfade.progress"), "1");
    EXPECT_EQ(at_.one("SELECT count(*) FROM public.journal WHERE id >= 100"), "0");
}

// Legacy died while the rows of a transaction were on their way that its standby never got. What the standby has
// instead begins before that one's commit.
TEST_P(timelines_of, a_transaction_that_the_failover_cut_off_is_forgotten) {
    auto after = at_.publish_as(2);
    after.move(from_.end(), from_.end());
    from_.move(from_.end(), from_.end() + 0x1000);
    from_.cut_off(new_rows(GetParam() + 1), GetParam());
    from_.flush();
    at_.cdc->start();
    ASSERT_TRUE(at_.applied(from_));
    promote(after);
    ASSERT_TRUE(at_.applied(after)) << at_.status();
    EXPECT_EQ(at_.one("SELECT count(*) FROM public.journal WHERE id >= 100"), "1");

    ASSERT_EQ(at_.cdc->stop(), 0);
    at_.cdc->start();
    after.commit({insert(journal, {"300", "later"})});
    after.flush();
    ASSERT_TRUE(at_.applied(after)) << at_.status();
    EXPECT_EQ(at_.one("SELECT count(*) FROM public.journal WHERE id >= 100"), "2");
}

INSTANTIATE_TEST_SUITE_P(whole_and_in_parts, timelines_of, testing::Values(1, 200));

TEST_F(timelines, a_copy_under_way_begins_anew) {
    at_.exec(
        "INSERT INTO crossfade.tables (stream, table_name, state) VALUES ('app', 'public.journal', 'backfilling');"
        "INSERT INTO crossfade.backfills (stream, table_name, state, key_columns, last_key) VALUES ('app', "
        "'public.journal', 'copying', 'id', '{7}')");
    promote();
    at_.cdc->start();
    ASSERT_TRUE(at_.applied(from_)) << at_.cdc->log();
    EXPECT_EQ(at_.one("SELECT state FROM crossfade.backfills"), "asked");
    EXPECT_THAT(at_.cdc->log(), HasSubstr("backfills begin anew"));
}

}  // namespace
}  // namespace crossfade::cdc
