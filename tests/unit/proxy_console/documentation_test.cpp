#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "proxy/console/views.hpp"

namespace crossfade::proxy::console {
namespace {

std::string documentation() {
    std::ifstream in(std::string{CROSSFADE_SOURCE_DIR} + "/docs/console.md");
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
}

std::string_view name_of(type of) {
    switch (of) {
        case type::boolean:
            return "boolean";
        case type::int8:
            return "bigint";
        case type::text:
            return "text";
        case type::float8:
            return "double precision";
        case type::timestamptz:
            return "timestamptz";
    }
    return "";
}

// What stands below the heading "### SHOW WHAT", up to the next heading.
std::string section_of(const std::string& text, std::string_view what) {
    const auto heading = "\n### SHOW " + std::string{what} + '\n';
    const auto begin = text.find(heading);
    if (begin == std::string::npos) return {};
    return text.substr(begin, text.find("\n#", begin + heading.size()) - begin);
}

TEST(documentation, has_every_column_with_its_type) {
    const auto text = documentation();
    for (std::size_t each = 0; each < subjects; ++each) {
        const auto what = static_cast<subject>(each);
        const auto section = section_of(text, to_string(what));
        ASSERT_FALSE(section.empty()) << to_string(what);
        for (const auto& one : columns_of(what)) {
            const auto row = "\n| `" + std::string{one.name} + "` | " + std::string{name_of(one.of)} + " | ";
            EXPECT_NE(section.find(row), std::string::npos) << to_string(what) << ": " << row;
        }
    }
}

TEST(documentation, is_where_help_says) {
    const auto text = documentation();
    for (const auto& each : help_rows()) {
        const auto& commands = std::get<std::string>(each[0]);
        const auto verb = commands.substr(0, commands.find(' '));
        EXPECT_NE(text.find('`' + verb), std::string::npos) << commands;
    }
}

}  // namespace
}  // namespace crossfade::proxy::console
