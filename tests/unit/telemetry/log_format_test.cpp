#include "lib/telemetry/log_format.hpp"

#include <gmock/gmock.h>
#include <spdlog/spdlog.h>

#include <boost/json.hpp>

#include "lib/telemetry/log.hpp"

namespace crossfade::telemetry {
namespace {

using namespace std::string_view_literals;

std::string line(settings::log_format format, std::string_view message) {
    const auto formatter = make_formatter("crossfade-cdc", format);
    spdlog::details::log_msg record{spdlog::source_loc{}, "logger", spdlog::level::warn,
                                    spdlog::string_view_t{message.data(), message.size()}};
    record.time = spdlog::log_clock::time_point{std::chrono::milliseconds{1'700'000'000'042}};
    spdlog::memory_buf_t into;
    formatter->format(record, into);
    return {into.data(), into.size()};
}

TEST(log_format, text_is_one_line) {
    EXPECT_EQ(line(settings::log_format::text, "waiting\nfor\x1b[31m it"),
              "2023-11-14T22:13:20.042Z warning crossfade-cdc: waiting\\nfor\\x1b[31m it\n");
}

// As a view's literal, so that it doesn't end at the NUL.
constexpr auto with_controls = "nul \0 tab \t newline \n bell \a del \x7f"sv;

TEST(log_format, json_holds_any_message) {
    const std::pair<std::string, std::string> messages[] = {
        {"plain", "plain"},
        {R"(a "quoted" \ path)", R"(a "quoted" \ path)"},
        {std::string{with_controls}, std::string{with_controls}},
        {"käse €  𝄞", "käse €  𝄞"},
        {"cut \xE2\x82", "cut \xEF\xBF\xBD\xEF\xBF\xBD"},            // a euro sign's first two bytes
        {"overlong \xC0\xAF", "overlong \xEF\xBF\xBD\xEF\xBF\xBD"},  // '/' in two bytes
        {"surrogate \xED\xA0\x80.", "surrogate \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD."},
        {"latin1 \xE9t\xE9", "latin1 \xEF\xBF\xBDt\xEF\xBF\xBD"},
        {"beyond \xF4\x90\x80\x80", "beyond \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    for (const auto& [message, expected] : messages) {
        const auto text = line(settings::log_format::json, message);
        EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
        boost::system::error_code error;
        const auto record = boost::json::parse(text, error);
        ASSERT_FALSE(error) << error.message() << ": " << text;
        EXPECT_EQ(record.at("message").as_string(), expected);
        EXPECT_EQ(record.at("time").as_string(), "2023-11-14T22:13:20.042Z");
        EXPECT_EQ(record.at("level").as_string(), "warning");
        EXPECT_EQ(record.at("program").as_string(), "crossfade-cdc");
    }
}

TEST(configure_log, sets_the_level_again_after_a_reload) {
    configure_log("test", {settings::log_format::text, "debug"});
    const auto logger = spdlog::default_logger();
    EXPECT_EQ(logger->level(), spdlog::level::debug);
    configure_log("test", {settings::log_format::json, "error"});
    EXPECT_EQ(spdlog::default_logger(), logger);
    EXPECT_EQ(logger->level(), spdlog::level::err);
    configure_log("test", {settings::log_format::json, "no such level"});
    EXPECT_EQ(logger->level(), spdlog::level::info);
}

TEST(configure_log, writes_to_stderr) {
    testing::internal::CaptureStderr();
    configure_log("crossfade-proxy", {settings::log_format::json, "info"});
    spdlog::info("hello {}", 1);
    spdlog::debug("not this");
    EXPECT_THAT(testing::internal::GetCapturedStderr(),
                testing::MatchesRegex(".*\"program\":\"crossfade-proxy\",\"message\":\"hello 1\"}\n"));
}

}  // namespace
}  // namespace crossfade::telemetry
