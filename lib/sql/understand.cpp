#include "lib/sql/understand.hpp"

#include <algorithm>
#include <string>

#include "lib/sql/classify.hpp"
#include "lib/sql/nesting.hpp"
#include "lib/sql/parse_tree.hpp"
#include "lib/sql/row_writes.hpp"

namespace crossfade::sql {
namespace {

std::uint64_t fingerprint_within(const std::string& text, const statement& part) {
    if (part.length == text.size()) return fingerprint(text.c_str());
    return fingerprint(text.substr(part.offset, part.length).c_str());
}

bool is_ascii(std::string_view text) {
    return std::ranges::none_of(text, [](char byte) { return static_cast<unsigned char>(byte) >= 0x80; });
}

bool names_ascii(const statement& it) {
    const auto* prepare = std::get_if<effect::prepare>(&it.effect);
    return std::ranges::all_of(it.tables,
                               [](const table_use& each) { return is_ascii(each.schema) && is_ascii(each.name); }) &&
           (prepare == nullptr || names_ascii(*prepare->prepared));
}

void rename(statement& it, spelling now) {
    for (auto& each : it.tables) {
        each.schema = name_in_utf8(each.schema, now);
        each.name = name_in_utf8(each.name, now);
    }
    auto* prepare = std::get_if<effect::prepare>(&it.effect);
    if (prepare == nullptr) return;
    auto inner = *prepare->prepared;
    rename(inner, now);
    prepare->prepared = std::make_shared<const statement>(std::move(inner));
}

bool is_operator_character(char byte) {
    return std::string_view{"~!@#^&|`?+-*/%<>="}.find(byte) != std::string_view::npos;
}

// PostgreSQL's scanner takes a run of operator characters whole, and if it sees that an operator can't end in a sign,
// or that a comment begins in it, it gives back all but the beginning and looks at the rest again: 64 KB of "+-+-" kept
// it busy for 20 s, as much of "/**/" in a comment for 2 s. Two minus signs begin a comment that ends with the line.
bool is_slow_to_scan(std::string_view text) {
    constexpr std::size_t most_looks = 1'000'000;  // a few milliseconds
    std::size_t looks = 0;
    std::size_t run = 0;
    std::size_t again = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        const char byte = i < text.size() ? text[i] : ' ';
        if (!is_operator_character(byte)) {
            looks += run * again;
            run = again = 0;
            continue;
        }
        const char before = i > 0 ? text[i - 1] : ' ';
        const char behind = i + 1 < text.size() ? text[i + 1] : ' ';
        ++run;
        again += byte == '+' || (byte == '-' && before != '-' && behind != '-') || (byte == '/' && behind == '*');
    }
    return looks > most_looks;
}

}  // namespace

bool legible(std::string_view text, lexing how) {
    if (!how.standard_conforming_strings && text.find('\\') != std::string_view::npos) return false;
    return how.ascii_is_itself || is_ascii(text);
}

std::string name_in_utf8(std::string_view name, spelling now) {
    std::string made;
    for (const char each : name) {
        const auto byte = static_cast<unsigned char>(each);
        if (now != spelling::latin1 || byte < 0x80) {
            made += each;
        } else {
            made += static_cast<char>(0xc0 | byte >> 6);
            made += static_cast<char>(0x80 | (byte & 0x3f));
        }
    }
    return made;
}

std::shared_ptr<const understanding> with_names_in_utf8(std::shared_ptr<const understanding> known, spelling now) {
    if (now != spelling::latin1 || !known || !*known || std::ranges::all_of(**known, names_ascii)) return known;
    auto made = **known;
    for (auto& each : made) rename(each, now);
    return std::make_shared<const understanding>(std::move(made));
}

understanding understand(std::string_view text, const limits& within) {
    if (text.size() > within.bytes) return not_understood{obstacle::too_long, 0};
    // The protocol's strings hold none; the parser would take it for the end.
    if (text.find('\0') != std::string_view::npos) return not_understood{obstacle::syntax, 0};
    const std::string ended{text};
    if (is_slow_to_scan(text)) return not_understood{obstacle::too_complex, 0};
    if (may_nest_too_deep(ended.c_str())) return not_understood{obstacle::too_complex, 0};
    const auto tree = parse_tree::of(ended.c_str(), ended.size());
    if (!tree) return tree.error();
    if (tree->statements().size() > within.statements) return not_understood{obstacle::too_complex, 0};

    std::vector<statement> statements;
    statements.reserve(tree->statements().size());
    for (const auto* raw : tree->statements()) {
        auto& it = statements.emplace_back(raw->stmt == nullptr ? statement{} : classify(*raw->stmt));
        it.offset = std::min(ended.size(), static_cast<std::size_t>(std::max(raw->stmt_location, 0)));
        const auto rest = ended.size() - it.offset;
        it.length = raw->stmt_len > 0 ? std::min(rest, static_cast<std::size_t>(raw->stmt_len)) : rest;
        it.fingerprint = fingerprint_within(ended, it);
        if (raw->stmt != nullptr) it.rows = row_write_of(*raw->stmt, it, ended);
    }
    return statements;
}

std::string_view to_string(obstacle what) {
    switch (what) {
        case obstacle::syntax:
            return "syntax";
        case obstacle::too_long:
            return "too_long";
        case obstacle::too_complex:
            return "too_complex";
    }
    return "unknown";
}

std::string_view to_string(statement_kind kind) {
    switch (kind) {
        case statement_kind::read:
            return "read";
        case statement_kind::write:
            return "write";
        case statement_kind::ddl:
            return "ddl";
        case statement_kind::transaction_control:
            return "transaction_control";
        case statement_kind::session:
            return "session";
        case statement_kind::copy:
            return "copy";
        case statement_kind::lock:
            return "lock";
        case statement_kind::maintenance:
            return "maintenance";
        case statement_kind::execute:
            return "execute";
        case statement_kind::other:
            return "other";
    }
    return "unknown";
}

std::string_view to_string(volatility how) {
    switch (how) {
        case volatility::immutable:
            return "immutable";
        case volatility::stable:
            return "stable";
        case volatility::volatile_:
            return "volatile";
        case volatility::unknown:
            return "unknown";
    }
    return "unknown";
}

}  // namespace crossfade::sql
