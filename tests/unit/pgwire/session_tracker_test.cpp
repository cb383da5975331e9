#include "lib/pgwire/session_tracker.hpp"

#include <gtest/gtest.h>

#include <sstream>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_scanner.hpp"
#include "lib/pgwire/message_types.hpp"

namespace crossfade::pgwire {
namespace {

// A script is words. '>' and '<' turn to what the client and the server send; a message is its type byte, with
// ReadyForQuery as ZI, ZT or ZE. Other words are what the tracker must say at that place:
//   idle, quiet    idle(); quiet() but not idle()
//   due, owing     ready_is_due(); neither quiet() nor ready_is_due()
//   copy-in, copy-out, copy-both, no-copy
//   txn=N          transactions()
struct script {
    const char* name;
    const char* words;
};
void PrintTo(const script& of, std::ostream* to) {
    *to << of.words;
}

const script scripts[] = {
    {"login", "due < R S S K due ZI idle txn=0"},
    {"login_with_password_messages", "< R > p < R > p < R R S K ZI idle"},
    {"query_sent_before_login_is_over", "> Q < R due ZI due < T D C ZI idle txn=1"},
    {"simple_query", "< ZI > Q due < T D D C due ZI idle txn=1"},
    {"several_statements_in_one_query", "< ZI > Q < T D C C E due < ZI idle txn=1"},
    {"empty_query", "< ZI > Q < I due ZI idle"},
    {"transaction", "< ZI > Q < C ZT quiet > Q < E ZE quiet > Q < C ZI idle txn=1"},
    {"empty_query_in_an_aborted_transaction", "< ZI > Q < C ZT > Q < E ZE > Q < I ZE quiet > Q < C ZI idle"},
    {"extended_query", "< ZI > P B D E owing S due < 1 2 T C ZI idle txn=1"},
    {"messages_without_sync_hold_a_transaction_open", "< ZI > P B E H owing < 1 2 C quiet > S due < ZI idle txn=1"},
    {"describe_of_a_statement", "< ZI > P D S < 1 t T ZI idle"},
    {"describe_without_rows", "< ZI > P D S < 1 t n ZI idle"},
    {"portal_suspended_by_max_rows", "< ZI > P B E H < 1 2 D s quiet > E H < D s quiet > E S < D C due ZI idle"},
    {"server_released_on_the_first_of_several_ready_for_query",
     "< ZI > P B E S P B E S S < 1 2 C ZI due < 1 2 C ZI due < ZI idle txn=3"},
    {"pipeline_of_simple_queries", "< ZI > Q Q Q < C ZI due < C ZI due < C ZI idle"},
    {"error_sync_and_ready_racing", "< ZI > P B E S P B E S < E due ZI due < 1 2 C ZI idle"},
    {"two_errors_in_one_pipeline", "< ZI > P B E S P B E S < 1 E ZI due < E ZI idle txn=2"},
    {"error_before_sync_is_sent", "< ZI > P B H < E owing > E B owing S due < ZI idle"},
    {"error_within_execute", "< ZI > P B E B E S < 1 2 C 2 E due ZI idle"},
    {"error_at_sync_itself", "< ZI > P B E S < 1 2 C due E due ZI idle"},
    {"simple_query_in_an_aborted_batch_gets_no_ready", "< ZI > P B Q S < E due ZI idle txn=1"},
    {"simple_query_in_an_aborted_batch_sent_late", "< ZI > P B H < E > Q owing S due < ZI idle"},
    {"simple_query_in_an_unfailed_batch_gets_its_own_ready", "< ZI > P B Q S < 1 2 T C ZI due < ZI idle txn=2"},
    {"error_of_a_simple_query_inside_a_batch", "< ZI > P B Q S < 1 2 E ZI due < ZI idle"},
    {"function_call", "< ZI > F due < V ZI idle"},
    {"function_call_fails", "< ZI > F due < E ZI idle"},
    {"function_call_in_an_aborted_batch", "< ZI > P F S < E ZI idle"},
    {"close_after_a_failed_parse", "< ZI > P C S < E ZI idle"},
    {"close_of_a_portal", "< ZI > C S < 3 ZI idle"},
    {"notices_notifications_and_parameters_between", "< ZI > Q < N A S T N D C S A ZI idle < A N S idle"},
    {"copy_out", "< ZI > Q < H copy-out d d c C no-copy due ZI idle"},
    {"copy_out_extended", "< ZI > P B E S < 1 2 H copy-out d c C no-copy ZI idle"},
    {"copy_in", "< ZI > Q < G copy-in > d d c no-copy due < C ZI idle"},
    {"copy_in_given_up", "< ZI > Q < G > d f < E ZI idle"},
    {"copy_in_sent_without_waiting", "< ZI > Q d d c Q < G C ZI due < C ZI idle"},
    {"copy_in_extended", "< ZI > P B E S < 1 2 G copy-in > d c S due < C ZI idle txn=1"},
    {"copy_in_extended_is_open_until_its_last_sync", "< ZI > P B E S < 1 2 G > d c < C quiet > S due < ZI idle"},
    {"copy_in_extended_without_waiting", "< ZI > P B E S d d c S < 1 2 G due C due ZI idle txn=1"},
    {"copy_in_swallows_flush_and_sync", "< ZI > P B E H < 1 2 G > S S H d c S due < C ZI idle"},
    {"copy_failure_followed_by_a_late_copy_done", "< ZI > Q < G > d < E ZI idle > d c idle > Q < C ZI idle"},
    {"copy_failure_with_copy_done_on_its_way", "< ZI > Q < G > d c < E ZI idle > Q < C ZI idle"},
    {"copy_failure_in_a_batch_then_copy_done_and_sync",
     "< ZI > P B E H < 1 2 G > d < E owing > d c owing S due < ZI idle"},
    {"copy_failure_before_any_data", "< ZI > Q d d c < E ZI idle > Q due < C ZI idle"},
    {"copy_failed_by_another_message", "< ZI > Q < G > Q < E due ZI idle"},
    {"copy_failed_by_a_pipelined_query", "< ZI > Q Q Q < G E ZI due < C ZI idle"},
    {"copy_failed_by_a_pipelined_parse", "< ZI > P B E P B S < 1 2 G E due ZI idle"},
    {"ready_that_was_not_awaited", "< ZI > P B E H < 1 2 G > S < E ZI idle > Q due < C ZI idle"},
    {"copy_both", "< ZI > Q < W copy-both d > d d < d > c < c C ZI idle no-copy"},
    {"terminate_owes_nothing", "< ZI > X idle"},
    {"fatal_at_any_time", "< ZI E idle"},
    {"nothing_is_owed_for_unknown_messages", "< ZI > ? ! < ? idle"},
};

class player {
  public:
    // What one direction sends in a row is cut into pieces of at most `piece` bytes.
    explicit player(std::size_t piece) : piece_(piece) {}

    void play(const char* words) {
        std::istringstream in{words};
        for (std::string word; in >> word;) {
            if (word == ">" || word == "<") {
                flush();
                from_client_ = word == ">";
            } else if (word.size() == 1) {
                bytes_ += framed(word[0], word[0] == 'd' ? "row" : "");
            } else if (word.size() == 2 && word[0] == 'Z') {
                bytes_ += framed('Z', word.substr(1));
            } else {
                flush();
                expect(word);
            }
        }
        flush();
    }

  private:
    struct visitor {
        session_tracker& tracker;
        bool from_client;
        std::size_t wanted(char type) const { return !from_client && type == 'Z' ? 1 : 0; }
        void message(char type, std::uint32_t, std::string_view body) {
            from_client ? tracker.on_frontend(type) : tracker.on_backend(type, body);
        }
    };

    void flush() {
        auto& scanner = from_client_ ? client_ : server_;
        std::string held;
        for (std::size_t at = 0; at < bytes_.size(); at += piece_) {
            held += bytes_.substr(at, piece_);
            held.erase(0, scanner.scan(held, visitor{tracker_, from_client_}).consumed);
        }
        EXPECT_TRUE(held.empty());
        bytes_.clear();
    }

    void expect(const std::string& word) {
        const auto copy = [this](copy_mode mode) { return tracker_.copying() == mode; };
        const bool holds = word == "idle"        ? tracker_.idle()
                           : word == "quiet"     ? tracker_.quiet() && !tracker_.idle()
                           : word == "due"       ? tracker_.ready_is_due() && !tracker_.quiet() && !tracker_.idle()
                           : word == "owing"     ? !tracker_.quiet() && !tracker_.ready_is_due() && !tracker_.idle()
                           : word == "copy-in"   ? copy(copy_mode::in)
                           : word == "copy-out"  ? copy(copy_mode::out)
                           : word == "copy-both" ? copy(copy_mode::both)
                           : word == "no-copy"   ? copy(copy_mode::none)
                                                 : word == "txn=" + std::to_string(tracker_.transactions());
        EXPECT_TRUE(holds) << word << " does not hold";
    }

    std::size_t piece_;
    session_tracker tracker_;
    message_scanner client_{1000};
    message_scanner server_{1000};
    std::string bytes_;
    bool from_client_ = false;
};

class session_tracker_script : public testing::TestWithParam<script> {};

TEST_P(session_tracker_script, holds_coalesced_and_split_at_every_byte) {
    for (const std::size_t piece : {10000U, 1U, 2U, 3U, 5U, 7U}) {
        SCOPED_TRACE(std::string{GetParam().words} + " in pieces of " + std::to_string(piece));
        player{piece}.play(GetParam().words);
    }
}

INSTANTIATE_TEST_SUITE_P(all, session_tracker_script, testing::ValuesIn(scripts),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST(session_tracker, what_is_owed_takes_memory_that_can_be_seen_and_is_given_back) {
    session_tracker tracker;
    EXPECT_EQ(tracker.allocated(), 0U);
    constexpr std::size_t batches = 5000;
    for (std::size_t sent = 0; sent < batches; ++sent) {
        tracker.on_frontend(frontend::parse);
        tracker.on_frontend(frontend::sync);
    }
    EXPECT_GE(tracker.allocated(), 2 * batches * sizeof(std::uint64_t));
    EXPECT_LE(tracker.allocated(), 4 * batches * sizeof(std::uint64_t));
    tracker.on_backend(backend::ready_for_query, "I");
    for (std::size_t answered = 0; answered < batches; ++answered) {
        tracker.on_backend(backend::parse_complete, "");
        tracker.on_backend(backend::ready_for_query, "I");
    }
    EXPECT_TRUE(tracker.idle());
    EXPECT_EQ(tracker.allocated(), 0U);
}

TEST(session_tracker, survives_any_order_of_messages) {
    const std::string_view client = "QPBDECHSFdcfXp?";
    const std::string_view server = "Z123CDIsTtnGHWEVNASRKvdc?";
    std::uint32_t random = 1;
    const auto next = [&random](std::size_t below) {
        random = random * 1664525U + 1013904223U;
        return (random >> 8) % below;
    };
    for (int round = 0; round < 2000; ++round) {
        session_tracker tracker;
        for (int step = 0; step < 60; ++step) {
            if (next(2) == 0) {
                tracker.on_frontend(client[next(client.size())]);
            } else {
                tracker.on_backend(server[next(server.size())], "ITE?" + next(4));
            }
            EXPECT_FALSE(tracker.idle() && !tracker.quiet());
            EXPECT_FALSE(tracker.ready_is_due() && tracker.quiet());
        }
    }
}

}  // namespace
}  // namespace crossfade::pgwire
