#include <gtest/gtest.h>

#include <stdexcept>

#include "lib/pgclient/connection.hpp"

namespace crossfade::pgclient {
namespace {

TEST(failure, knows_what_may_pass) {
    const struct {
        std::string sqlstate;
        bool lost, transient;
    } states[] = {
        {"08006", true, true},   {"08001", true, true},   {"57P01", true, true},   {"57P03", true, true},
        {"40001", false, true},  {"40P01", false, true},  {"55P03", false, true},  {"57014", false, true},
        {"53100", false, true},  {"25006", false, true},  {"58030", false, true},  {"23505", false, false},
        {"22P02", false, false}, {"42P01", false, false}, {"42501", false, false}, {"XX000", false, false},
    };
    for (const auto& [sqlstate, lost, transient] : states) {
        const failure what{sqlstate, "message", {}, {}, {}};
        EXPECT_EQ(what.connection_lost(), lost) << sqlstate;
        EXPECT_EQ(what.transient(), transient) << sqlstate;
    }
}

TEST(failure, says_where) {
    const failure what{"23505", "duplicate key", "public.t", "c", "t_pkey"};
    EXPECT_EQ(to_string(what), "duplicate key (SQLSTATE 23505, table public.t, column c, constraint t_pkey)");
    EXPECT_THROW(result<int>{what}.value(), std::runtime_error);
}

TEST(quote_literal, doubles_quotes) {
    EXPECT_EQ(quote_literal("it's"), "'it''s'");
    EXPECT_EQ(quote_literal(""), "''");
}

}  // namespace
}  // namespace crossfade::pgclient
