#include "proxy/strategy/tenant.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "lib/pgwire/ascii.hpp"

namespace crossfade::proxy::strategy {
namespace {

using parameter_list = std::span<const std::pair<std::string, std::string>>;

// As guc_name_compare() does it: ASCII alone folds.
bool same_name(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](char a, char b) { return pgwire::lower(a) == pgwire::lower(b); });
}

// The server takes a parameter's last value.
std::optional<std::string> last_of(parameter_list parameters, std::string_view name, auto&& same) {
    std::optional<std::string> value;
    for (const auto& [given, text] : parameters)
        if (same(given, name)) value = text;
    return value;
}

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// pg_split_opts(): white space separates, a backslash takes the next character as it stands.
std::vector<std::string> split_options(std::string_view text) {
    std::vector<std::string> words;
    std::size_t i = 0;
    while (true) {
        while (i < text.size() && is_space(text[i])) ++i;
        if (i == text.size()) return words;
        auto& word = words.emplace_back();
        for (; i < text.size() && !is_space(text[i]); ++i) {
            if (text[i] == '\\' && ++i == text.size()) break;
            word += text[i];
        }
    }
}

// process_postgres_switches() and ParseLongOption(): "-c name=value", "-cname=value", "--name=value", where a dash in
// the name stands for an underscore.
std::optional<std::string> from_options(std::string_view options, std::string_view name) {
    std::optional<std::string> value;
    const auto words = split_options(options);
    for (std::size_t i = 0; i < words.size(); ++i) {
        std::string setting;
        if (words[i] == "-c" && i + 1 < words.size())
            setting = words[++i];
        else if (words[i].starts_with("-c") || words[i].starts_with("--"))
            setting = words[i].substr(2);
        const auto equals = setting.find('=');
        if (equals == std::string::npos) continue;
        auto given = setting.substr(0, equals);
        std::replace(given.begin(), given.end(), '-', '_');
        if (same_name(given, name)) value = setting.substr(equals + 1);
    }
    return value;
}

std::optional<std::string> exactly(std::string_view name, parameter_list parameters) {
    return last_of(parameters, name, [](std::string_view given, std::string_view wanted) { return given == wanted; });
}

}  // namespace

std::optional<std::string> set_at_start(std::string_view name, parameter_list parameters) {
    if (auto own = last_of(parameters, name, same_name)) return own;
    return from_options(exactly("options", parameters).value_or(""), name);
}

std::string tenant_of(const settings::tenancy& by, parameter_list parameters) {
    switch (by.session) {
        case settings::tenant_source::none:
            break;
        case settings::tenant_source::user:
            return exactly("user", parameters).value_or("");
        case settings::tenant_source::database: {
            const auto database = exactly("database", parameters);
            return database && !database->empty() ? *database : exactly("user", parameters).value_or("");
        }
        case settings::tenant_source::parameter:
            return set_at_start(by.parameter, parameters).value_or("");
    }
    return {};
}

}  // namespace crossfade::proxy::strategy
