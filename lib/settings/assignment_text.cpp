#include "lib/settings/assignment_text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace crossfade::settings {
namespace {

std::optional<std::string> text_at(const boost::json::object& in, std::string_view key) {
    const auto* value = in.if_contains(key);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return std::string{value->get_string()};
}

std::optional<flag_scope> scope_of(const boost::json::value& from) {
    if (!from.is_object()) return std::nullopt;
    auto group = text_at(from.get_object(), "group");
    auto tenant = text_at(from.get_object(), "tenant");
    if (!group || !tenant) return std::nullopt;
    return flag_scope{std::move(*group), std::move(*tenant)};
}

boost::json::object object_of(const flag_scope& scope) {
    return {{"group", scope.group}, {"tenant", scope.tenant}};
}

}  // namespace

std::string apart_text(const std::map<flag_scope, side>& apart) {
    boost::json::array all;
    for (const auto& [scope, authority] : apart) {
        auto one = object_of(scope);
        one["authority"] = to_string(authority);
        all.push_back(std::move(one));
    }
    return boost::json::serialize(all);
}

std::optional<std::map<flag_scope, side>> parse_apart(std::string_view text) {
    boost::system::error_code failed;
    const auto read = boost::json::parse(text, failed);
    if (failed || !read.is_array()) return std::nullopt;
    std::map<flag_scope, side> all;
    for (const auto& each : read.get_array()) {
        auto scope = scope_of(each);
        if (!scope) return std::nullopt;
        const auto authority = text_at(each.get_object(), "authority");
        if (authority != to_string(side::legacy) && authority != to_string(side::modern)) return std::nullopt;
        all[std::move(*scope)] = authority == to_string(side::modern) ? side::modern : side::legacy;
    }
    return all;
}

std::string assignment_json(const assignment& of) {
    return R"({"authority":")" + std::string{to_string(of.everything)} + R"(","apart":)" + apart_text(of.apart) + '}';
}

std::string scope_json(const flag_scope& scope) {
    return boost::json::serialize(object_of(scope));
}

std::optional<flag_scope> parse_scope(std::string_view text) {
    boost::system::error_code failed;
    const auto read = boost::json::parse(text, failed);
    return failed ? std::nullopt : scope_of(read);
}

}  // namespace crossfade::settings
