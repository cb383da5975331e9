#include "lib/pgoutput/replication.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/pgoutput/bytes.hpp"

namespace crossfade::pgoutput {
namespace {

using namespace std::chrono_literals;

constexpr auto epoch = std::chrono::sys_days{std::chrono::year{2000} / 1 / 1};

TEST(replication_frames, wal_data) {
    const bytes whole = bytes{}.raw("w").i64(10).i64(20).i64(7).raw("payload");
    const auto got = std::get<xlog_data>(*decode_frame(whole));
    EXPECT_EQ(got.wal_start.value, 10U);
    EXPECT_EQ(got.wal_end.value, 20U);
    EXPECT_EQ(got.sent_at, epoch + 7us);
    EXPECT_EQ(got.payload, "payload");
}

TEST(replication_frames, keepalive) {
    const auto asks = std::get<keepalive>(*decode_frame(bytes{}.raw("k").i64(30).i64(0).i8(1)));
    EXPECT_EQ(asks.wal_end.value, 30U);
    EXPECT_TRUE(asks.reply_requested);
    EXPECT_FALSE(std::get<keepalive>(*decode_frame(bytes{}.raw("k").i64(30).i64(0).i8(0))).reply_requested);
}

TEST(replication_frames, anything_else_is_refused) {
    for (const std::string_view wrong : {"", "w", "k", "x123456789012345678901234567890", "k1234567"})
        EXPECT_FALSE(decode_frame(wrong)) << wrong;
    EXPECT_FALSE(decode_frame(bytes{}.raw("w").i64(10).i64(20).i32(7)));
    EXPECT_FALSE(decode_frame(bytes{}.raw("k").i64(30).i64(0).i8(1).i8(0)));
}

TEST(replication_frames, standby_status) {
    EXPECT_EQ(encode({model::lsn{0x1122334455667788}, model::lsn{9}, epoch + 258us}),
              bytes{}.raw("r").i64(0x1122334455667788).i64(9).i64(9).i64(258).i8(0).str());
    EXPECT_EQ(encode({model::lsn{1}, model::lsn{}, epoch, true}),
              bytes{}.raw("r").i64(1).i64(0).i64(0).i64(0).i8(1).str());
}

}  // namespace
}  // namespace crossfade::pgoutput
