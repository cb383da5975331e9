#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "lib/settings/flag_reader.hpp"
#include "lib/settings/flag_text.hpp"
#include "lib/settings/keys.hpp"

namespace crossfade::settings {
namespace {

std::string documentation() {
    std::ifstream in(std::string(CROSSFADE_SOURCE_DIR) + "/docs/configuration.md");
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
}

// The row of the key: "| `proxy.listen` | … |".
std::string row_of(const std::string& text, std::string_view name) {
    const auto at = text.find("| `" + std::string(name) + "` |");
    return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

TEST(documentation, has_every_key_and_whether_a_reload_takes_it) {
    const auto text = documentation();
    ASSERT_FALSE(text.empty());
    for (const auto& each : keys()) {
        const auto row = row_of(text, each.name);
        ASSERT_FALSE(row.empty()) << each.name;
        const std::string last_column = each.when == takes_effect::on_reload ? "| yes |" : "| no |";
        EXPECT_TRUE(row.ends_with(last_column)) << row;
    }
}

TEST(documentation, has_every_variable) {
    const auto text = documentation();
    for (const auto flag : flag_names)
        EXPECT_NE(text.find('`' + variable_of(flag) + '`'), std::string::npos) << variable_of(flag);
}

}  // namespace
}  // namespace crossfade::settings
