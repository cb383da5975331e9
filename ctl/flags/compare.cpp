#include "ctl/flags/compare.hpp"

#include <map>
#include <tuple>

#include "lib/settings/describe.hpp"

namespace crossfade::ctl::flags {

namespace {

using flag_key = std::tuple<std::string, std::string, std::string>;  // group, tenant, flag

std::string member(const boost::json::object& of, std::string_view key) {
    const auto* found = of.if_contains(key);
    return found == nullptr ? std::string{} : text_of(*found);
}

std::map<flag_key, std::string> flatten(const boost::json::array& scopes) {
    std::map<flag_key, std::string> flat;
    for (const auto& each : scopes) {
        const auto* scope = each.if_object();
        const auto* values = scope == nullptr ? nullptr : scope->if_contains("flags");
        if (values == nullptr || !values->is_object()) continue;
        for (const auto& [name, value] : values->get_object())
            flat[{member(*scope, "group"), member(*scope, "tenant"), std::string{name}}] = text_of(value);
    }
    return flat;
}

}  // namespace

std::string text_of(const boost::json::value& value) {
    if (value.is_string()) return std::string{value.get_string()};
    if (value.is_double()) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", value.get_double());
        return text;
    }
    return boost::json::serialize(value);
}

std::vector<flag_difference> compare(const boost::json::array& file, const boost::json::array& running) {
    const auto left = flatten(file);
    const auto right = flatten(running);
    std::vector<flag_difference> differences;
    const auto note = [&](const flag_key& key, const std::string& ours, const std::string& theirs) {
        differences.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), ours, theirs});
    };
    for (const auto& [key, value] : left) {
        const auto other = right.find(key);
        if (other == right.end()) {
            note(key, value, {});
        } else if (other->second != value) {
            note(key, value, other->second);
        }
    }
    for (const auto& [key, value] : right)
        if (!left.contains(key)) note(key, {}, value);
    return differences;
}

std::vector<flag_difference> compare(const settings::flag_set& file, const std::optional<settings::assignment>& decided,
                                     const boost::json::array& running) {
    const auto expected = decided ? file.under(*decided) : file;
    return compare(settings::flags_json(expected, 0).at("scopes").as_array(), running);
}

}  // namespace crossfade::ctl::flags
