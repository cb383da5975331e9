#include "lib/settings/section.hpp"

#include <algorithm>

#include "lib/settings/keys.hpp"
#include "lib/settings/suggest.hpp"

namespace crossfade::settings {
namespace {

std::string shape(const YAML::Node& node) {
    switch (node.Type()) {
        case YAML::NodeType::Scalar:
            return "a text";
        case YAML::NodeType::Sequence:
            return "a list";
        case YAML::NodeType::Map:
            return "a mapping";
        case YAML::NodeType::Null:
        case YAML::NodeType::Undefined:
            break;
    }
    return "nothing";
}

// A key that the operator wrote may be a misplaced dsn or password: only what looks like a key is repeated.
std::string show_key(std::string_view key) {
    const bool looks_like_one =
        !key.empty() && key.size() <= 64 &&
        key.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
            std::string_view::npos;
    return looks_like_one ? std::string(key) : "(not shown)";
}

bool names_are_free(const std::vector<std::string_view>& known) {
    return known.size() == 1 && known[0].front() == '<';
}

int line_of(const YAML::Node& node) {
    return node.Mark().line + 1;
}

}  // namespace

void findings::add(const place& at, std::string found, std::string allowed) {
    add({file_, at.line, at.key, std::move(found), std::move(allowed)});
}

void findings::add_of_environment(std::string variable, std::string found, std::string allowed) {
    add({"environment", 0, std::move(variable), std::move(found), std::move(allowed)});
}

void findings::add(problem what) {
    if (problems_.size() < most)
        problems_.push_back(std::move(what));
    else if (problems_.size() == most)
        problems_.push_back(
            {file_, 0, "", "more than " + std::to_string(most) + " problems", "see those that are shown"});
}

std::string quote_found(std::string_view text) {
    if (text.find("://") != std::string_view::npos || text.find('@') != std::string_view::npos ||
        text.find("assword") != std::string_view::npos)
        return "a text that may hold credentials (not shown)";
    constexpr std::size_t most = 60;
    std::string quoted = "'";
    for (const char c : text.substr(0, most)) quoted += (c >= ' ' && c != '\x7f') || (c & '\x80') ? c : '?';
    if (text.size() > most) quoted += "...";
    return quoted + "'";
}

section::section(const YAML::Node& node, place at, std::string pattern, findings& out)
    : at_(std::move(at)), pattern_(std::move(pattern)), out_(&out) {
    // A key with nothing below it is what remains when all of it is commented out.
    if (!node.IsDefined() || node.IsNull()) return;
    if (node.IsMap())
        take(node);
    else
        out_->add(at_, shape(node), "a mapping of " + join(keys_below(pattern_)));
}

void section::take(const YAML::Node& node) {
    const auto known = keys_below(pattern_);
    for (const auto& pair : node) {
        const int line = line_of(pair.first);
        if (!pair.first.IsScalar()) {
            out_->add({line, at_.key}, shape(pair.first) + " as a key", join(known));
            continue;
        }
        const std::string& key = pair.first.Scalar();
        if (const auto* first = find(key)) {
            out_->add({line, path_of(show_key(key))}, "the key a second time",
                      "each key once; the first is in line " + std::to_string(first->line));
            continue;
        }
        if (!names_are_free(known) && std::find(known.begin(), known.end(), key) == known.end()) {
            if (out_->full()) continue;  // the search for what was meant is worth nothing then
            const auto meant = nearest(key, known);
            out_->add({line, path_of(show_key(key))}, "an unknown key",
                      (meant.empty() ? "" : "did you mean " + std::string(meant) + "? Known here: ") + join(known));
            continue;
        }
        index_.emplace(key, entries_.size());
        entries_.push_back({key, pair.second, line});
    }
}

const section::entry* section::find(std::string_view key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &entries_[found->second];
}

std::string section::path_of(std::string_view key) const {
    return at_.key.empty() ? std::string(key) : at_.key + '.' + std::string(key);
}

place section::at(std::string_view key) const {
    const auto* found = find(key);
    return {found != nullptr ? found->line : at_.line, path_of(key)};
}

std::optional<scalar> section::text(std::string_view key) const {
    const auto* found = find(key);
    if (found == nullptr) return std::nullopt;
    if (!found->value.IsScalar()) {
        out_->add(at(key), shape(found->value), "a single value");
        return std::nullopt;
    }
    return scalar{found->value.Scalar(), at(key)};
}

std::optional<std::vector<scalar>> section::list(std::string_view key) const {
    const auto* found = find(key);
    if (found == nullptr) return std::nullopt;
    if (!found->value.IsSequence()) {
        out_->add(at(key), shape(found->value), "a list");
        return std::nullopt;
    }
    std::vector<scalar> items;
    for (const auto& item : found->value) {
        const place where{line_of(item), path_of(key)};
        if (item.IsScalar())
            items.push_back({item.Scalar(), where});
        else
            out_->add(where, shape(item) + " in the list", "texts");
    }
    return items;
}

std::optional<std::vector<scalar>> section::texts(std::string_view key) const {
    const auto* found = find(key);
    if (found == nullptr || !found->value.IsScalar()) return list(key);
    return std::vector{scalar{found->value.Scalar(), at(key)}};
}

std::optional<std::vector<section>> section::items(std::string_view key) const {
    const auto* found = find(key);
    if (found == nullptr) return std::nullopt;
    if (!found->value.IsSequence()) {
        out_->add(at(key), shape(found->value), "a list");
        return std::nullopt;
    }
    const std::string pattern = pattern_ + '.' + std::string(key);
    std::vector<section> all;
    for (const auto& item : found->value) {
        const place where{line_of(item), path_of(key) + '.' + std::to_string(all.size() + 1)};
        all.emplace_back(item, where, pattern + '.' + std::string(keys_below(pattern).front()), *out_);
    }
    return all;
}

section section::below(std::string_view key) const {
    const auto* found = find(key);
    const std::string pattern = pattern_.empty() ? std::string(key) : pattern_ + '.' + std::string(key);
    return {found != nullptr ? found->value : YAML::Node(), at(key), pattern, *out_};
}

std::vector<std::pair<std::string, section>> section::named() const {
    const auto known = keys_below(pattern_);
    std::vector<std::pair<std::string, section>> all;
    for (const auto& each : entries_)
        all.emplace_back(each.key, section(each.value, {each.line, path_of(show_key(each.key))},
                                           pattern_ + '.' + std::string(known.front()), *out_));
    return all;
}

std::vector<std::string> section::names() const {
    std::vector<std::string> all;
    for (const auto& each : entries_) all.push_back(each.key);
    return all;
}

}  // namespace crossfade::settings
