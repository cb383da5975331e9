#include "proxy/console/table.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tests/unit/proxy_console/conversation.hpp"

namespace crossfade::proxy::console {
namespace {

using namespace std::chrono_literals;
using test::transcript;

constexpr std::array columns{column{"b", type::boolean}, column{"n", type::int8}, column{"t"},
                             column{"f", type::float8}, column{"at", type::timestamptz}};
const row cells{true, std::int64_t{-2}, std::string{"x"}, 0.0005,
                instant{std::chrono::sys_days{std::chrono::year{2000} / 1 / 1} + 1us}};

struct in_formats {
    std::vector<format> formats;
    std::string_view description;
    std::string_view cells;
};

TEST(table, is_written_in_the_formats_that_were_asked_for) {
    const std::string_view text = "T(b:16,n:20,t:25,f:701,at:1184)";
    const std::string_view text_cells = "D(t,-2,x,5e-04,2000-01-01 00:00:00.000001+00)";
    const in_formats table[] = {
        {{}, text, text_cells},
        {{format::text}, text, text_cells},
        {{format::binary},
         "T(b:16b,n:20b,t:25b,f:701b,at:1184b)",
         "D(x01,\xff\xff\xff\xff\xff\xff\xff\xfe,x,\x3f\x40\x62\x4d\xd2\xf1\xa9\xfc,x0000000000000001)"},
        {{format::binary, format::text, format::binary, format::text, format::binary},
         "T(b:16b,n:20,t:25b,f:701,at:1184b)",
         "D(x01,-2,x,5e-04,x0000000000000001)"},
    };
    for (const auto& each : table) {
        std::string bytes;
        put_row_description(bytes, columns, each.formats);
        EXPECT_EQ(transcript(bytes), each.description);
        bytes.clear();
        put_data_row(bytes, cells, each.formats);
        EXPECT_EQ(transcript(bytes), each.cells);
    }
}

TEST(table, has_nulls) {
    for (const auto as : {format::text, format::binary}) {
        std::string bytes;
        put_data_row(bytes, {value{}, value{std::string{}}, value{}}, std::array{as});
        EXPECT_EQ(transcript(bytes), "D(~,,~)");
    }
}

TEST(table, shows_times_as_postgresql_does) {
    const std::pair<instant, std::string_view> table[] = {
        {instant{}, "1970-01-01 00:00:00.000000+00"},
        {instant{-1us}, "1969-12-31 23:59:59.999999+00"},
        {instant{std::chrono::sys_days{std::chrono::year{2024} / 2 / 29} + 23h + 59min + 59s},
         "2024-02-29 23:59:59.000000+00"},
    };
    for (const auto& [at, expected] : table) EXPECT_EQ(to_string(at), expected);
}

}  // namespace
}  // namespace crossfade::proxy::console
