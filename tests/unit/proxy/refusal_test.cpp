#include "proxy/frontend/refusal.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/query_messages.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::string_literals;

const std::string sync = pgwire::framed('S', "");
const std::string batch =
    pgwire::framed('P', "s") + pgwire::framed('B', std::string(300, 'b')) + pgwire::framed('E', "e");

// Which messages are in `told`, by their first bytes.
std::string types(std::string_view told) {
    std::string all;
    while (!told.empty()) {
        all += told[0];
        told.remove_prefix(1 + pgwire::byte_reader{told.substr(1)}.u32());
    }
    return all;
}

// What is told of `asked` when it comes in such pieces, and what of it is left.
std::pair<std::string, std::string> refused(const std::string& asked, std::size_t piece) {
    refusal one;
    std::string told;
    std::string kept;
    for (std::size_t at = 0; at < asked.size(); at += piece) {
        kept += asked.substr(at, piece);
        const auto now = one.drop(kept);
        told += now.told;
        kept.erase(0, now.dropped);
        if (now.over) return {types(told), kept + asked.substr(std::min(asked.size(), at + piece))};
    }
    return {types(told) + "...", kept};
}

TEST(refusals, end_behind_the_statement) {
    const auto query = pgwire::build_query("select 1");
    const auto call = pgwire::framed('F', "f");
    for (const std::size_t piece : {1U, 3U, 7U, 100000U}) {
        for (const auto& asked : {query, call, batch + sync}) {
            EXPECT_EQ(refused(asked, piece), std::pair("EZ"s, ""s)) << piece;
            EXPECT_EQ(refused(asked + query, piece), std::pair("EZ"s, query)) << piece;
            EXPECT_EQ(refused(asked + batch, piece), std::pair("EZ"s, batch)) << piece;
        }
    }
}

TEST(refusals, tell_the_error_before_the_sync_has_come) {
    EXPECT_EQ(refused(batch + pgwire::framed('H', ""), 100000), std::pair("E..."s, ""s));
}

TEST(refusals, leave_to_the_session_what_is_no_statement) {
    for (const auto& what : {sync, pgwire::framed('X', ""), "Q\0\0\0\1"s})
        EXPECT_EQ(refused(what, 100000), std::pair(""s, what));
    EXPECT_EQ(refused(batch + pgwire::framed('X', ""), 100000), std::pair("E"s, pgwire::framed('X', "")));
}

}  // namespace
}  // namespace crossfade::proxy::frontend
