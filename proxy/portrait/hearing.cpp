#include "proxy/portrait/hearing.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/session_status.hpp"

namespace crossfade::proxy::portrait {
namespace {

namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
using unnamed = heard_facts::unnamed;

constexpr std::string_view strings = "standard_conforming_strings";
constexpr std::string_view encoding = "client_encoding";
// The function set_config has the same OID in every PostgreSQL (pg_proc.dat).
constexpr std::uint32_t set_config_oid = 2078;

// https://www.postgresql.org/docs/15/multibyte.html: those for clients alone, in which a byte below 0x80 may be part
// of a character.
bool ascii_is_itself(std::string_view client_encoding) {
    constexpr std::array<std::string_view, 7> treacherous{"SJIS",    "BIG5",  "GBK",           "UHC",
                                                          "GB18030", "JOHAB", "SHIFT_JIS_2004"};
    return std::ranges::find(treacherous, client_encoding) == treacherous.end();
}

sql::spelling spelling_of(std::string_view client_encoding) {
    // SQL_ASCII is whatever the database has.
    if (client_encoding == "UTF8" || client_encoding == "SQL_ASCII") return sql::spelling::utf8;
    return client_encoding == "LATIN1" ? sql::spelling::latin1 : sql::spelling::other;
}

bool means_on(const std::vector<std::string>& values) {
    constexpr std::array<std::string_view, 4> on{"on", "true", "yes", "1"};
    return values.size() == 1 && std::ranges::find(on, values[0]) != on.end();
}

bool contains_word(std::string_view text, std::string_view word) {
    const auto same = [](char left, char right) { return (left | 0x20) == right; };
    return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
}

// DO and CALL: code that isn't looked into.
bool runs_code(const sql::statement& it) {
    return it.kind == sql::statement_kind::write && it.unknown_tables && it.calls == sql::volatility::unknown;
}

// With its memory, which an assignment would keep.
void forget(std::string& text) {
    std::string{}.swap(text);
}

}  // namespace

hearing::hearing(notebook& shared, since when)
    : shared_(shared),
      unclear_(when == since::later),
      strings_changed_(when == since::later),
      sequence_values_(when == since::later),
      other_role_(when == since::later),
      // Until the server has said it.
      lexing_{.standard_conforming_strings = false, .ascii_is_itself = false},
      statement_(when == since::later ? unnamed::unknown : unnamed::none) {}

hearing::hearing(notebook& shared, memory of)
    : shared_(shared),
      unclear_(!of.facts.settings_known),
      strings_changed_(of.facts.strings_changed),
      sequence_values_(of.facts.sequence_values),
      strings_told_(true),
      lexing_(of.lexing),
      statement_(of.facts.statement),
      parse_(std::move(of.facts.parse)) {}

std::size_t hearing::wanted_of_client(char type) const {
    switch (type) {
        case frontend::query:
        case frontend::parse:
            return longest_heard;
        case frontend::close:
            return 2;
        case frontend::function_call:
            return 4;
        default:
            return 0;
    }
}

std::size_t hearing::wanted_of_server(char type) const {
    return type == backend::parameter_status ? strings.size() + encoding.size() : 0;
}

void hearing::client_said(char type, std::uint32_t length, std::string_view beginning,
                          const pgwire::session_tracker& where) {
    follow(static_cast<std::size_t>(beginning.data() - chunk_.data()));
    open_span();
    span_.at_rest = where.idle();
    switch (type) {
        case frontend::query:
            span_.touched = true;
            span_.statement = unnamed::none;
            // A text that ends before the message does is there whole.
            return text_said(beginning.substr(0, beginning.find('\0')), length - beginning.size(), stands_in::query);
        case frontend::parse:
            span_.extended = true;
            ++span_.parses;
            return parse_said(length, beginning);
        case frontend::close:
            span_.extended = true;
            if (beginning != std::string_view{"S\0", 2}) return;
            span_.touched = true;
            span_.statement = unnamed::none;
            return;
        case frontend::bind:
        case frontend::describe:
        case frontend::execute:
            span_.extended = true;
            return;
        case frontend::function_call:
            if (pgwire::byte_reader{beginning}.u32() == set_config_oid) doubt();
            return;
        default:
            return;
    }
}

void hearing::more_was_sent(unsigned parses) {
    if (parses == 0) return;
    open_span();
    span_.parses += parses;
}

void hearing::open_span() {
    if (!span_.open) span_ = {.open = true};
}

void hearing::parse_said(std::uint32_t length, std::string_view beginning) {
    const bool whole = length == beginning.size();
    const auto name = beginning.find('\0');
    if (name == std::string_view::npos) return doubt();  // not PostgreSQL's protocol, or a name of kilobytes
    if (name == 0) {
        span_.touched = true;
        span_.statement = whole ? unnamed::kept : unnamed::unknown;
        span_.parses_up_to_it = span_.parses;
        if (whole)
            parse_.assign(beginning);
        else
            forget(parse_);
    }
    const auto text = beginning.substr(name + 1);
    text_said(text.substr(0, text.find('\0')), length - beginning.size(), stands_in::parse);
}

void hearing::text_said(std::string_view text, std::size_t missing, stands_in message) {
    const auto end = static_cast<std::size_t>(text.data() + text.size() - chunk_.data());
    const bool whole = missing == 0 || (end < chunk_.size() && chunk_[end] == '\0');
    if (!whole) {
        // One that isn't suspicious so far goes on in follow().
        long_.emplace(message);
        if (long_->take(text)) return doubt();
        long_at_ = end;
        long_left_ = missing;
        return;
    }
    if (!is_suspicious(text, message)) return;
    if (!sql::legible(text, lexing())) return doubt();
    const auto known = shared_.statements.understand(text);
    if (!*known) return doubt();
    for (const auto& each : **known) note(each, text.substr(each.offset, each.length), message);
}

void hearing::note(const sql::statement& it, std::string_view text, stands_in message) {
    namespace effect = sql::effect;
    if (const auto* prepared = std::get_if<effect::prepare>(&it.effect))
        return note(*prepared->prepared, text, message);
    if (const auto* set = std::get_if<effect::set_parameter>(&it.effect)) {
        note_set(*set);
        note_role(set->name);
    }
    for (const auto& name : it.called.settings) note_role(name);
    for (const auto& name : it.called.settings) note_setting(name);
    if (it.called.unknown_setting) {
        lexing_in_flux_ = strings_changed_ = true;
        doubt();
    }
    if (it.called.sequence_value) sequence_values_ = true;
    if (runs_code(it) && (contains_word(text, "set") || contains_word(text, "execute"))) doubt();
    if (it.kind == sql::statement_kind::transaction_control) span_.controls = true;

    const auto* discard = std::get_if<effect::discard>(&it.effect);
    const bool discards_all = discard != nullptr && discard->what == effect::discarded::all;
    // A Parse need not be executed; and what is said before all is answered may be in a transaction by then.
    if (message == stands_in::query && span_.at_rest &&
        (discards_all || std::holds_alternative<effect::reset_all>(it.effect))) {
        span_.reset = true;
        span_.discarded = span_.discarded || discards_all;
        span_.unclear_since_reset = false;
        span_.role_since_reset = false;
    }
}

void hearing::note_set(const sql::effect::set_parameter& set) {
    if (set.name == strings && lexing_.standard_conforming_strings && means_on(set.values)) return;
    if (set.name == strings || set.name == encoding || !set.local) note_setting(set.name);
}

void hearing::note_role(std::string_view name) {
    if (name == "role" || name == "session_authorization") span_.role = span_.role_since_reset = true;
}

void hearing::note_setting(std::string_view name) {
    if (name == strings) lexing_in_flux_ = strings_changed_ = true;
    if (name == encoding) lexing_in_flux_ = true;
    // PostgreSQL's own have no dot, and the database tells them.
    if (name.find('.') == std::string_view::npos || shared_.names.all().contains(name)) return;
    if (names_ >= most_names || !shared_.names.add(name)) return doubt();
    ++names_;
}

void hearing::doubt() {
    span_.unclear = span_.unclear_since_reset = true;
    span_.role = span_.role_since_reset = true;
    long_left_ = 0;
}

void hearing::client_sends(std::string_view chunk) {
    chunk_ = chunk;
    long_at_ = 0;
}

void hearing::follow(std::size_t up_to) {
    if (long_left_ == 0) return;
    const auto piece = chunk_.substr(long_at_, std::min(up_to - long_at_, long_left_));
    long_left_ -= piece.size();
    long_at_ += piece.size();
    if (!piece.empty() && long_->take(piece)) doubt();
}

void hearing::server_said(char type, std::string_view beginning) {
    if (type == backend::error_response) span_.error = true;
    // Behind an error the server skips what is there, up to what nobody here follows.
    if (type == backend::parse_complete && !span_.error) ++span_.parsed;
    if (type != backend::parameter_status) return;
    const auto told = pgwire::parse_parameter_status(beginning);
    if (!told) return;
    if (told->name == strings) {
        const bool now = told->value == "on";
        if (strings_told_ && now != lexing_.standard_conforming_strings) strings_changed_ = true;
        strings_told_ = true;
        lexing_.standard_conforming_strings = now;
    } else if (told->name == encoding) {
        lexing_.ascii_is_itself = ascii_is_itself(told->value);
        lexing_.names = spelling_of(told->value);
    }
}

void hearing::settled(pgwire::transaction_status status) {
    if (span_.touched) {
        // An error makes the server skip what follows, and we don't know which of it; but not what had been parsed.
        const bool is_there = span_.statement == unnamed::kept && span_.parsed >= span_.parses_up_to_it;
        statement_ = span_.error && span_.extended && !is_there ? unnamed::unknown : span_.statement;
        if (statement_ != unnamed::kept) forget(parse_);
    }
    const bool reset = span_.reset && !span_.error && !span_.controls && status == pgwire::transaction_status::idle;
    if (reset) {
        unclear_ = span_.unclear_since_reset;
        if (span_.discarded) sequence_values_ = false;
    } else {
        unclear_ = unclear_ || span_.unclear;
    }
    other_role_ = reset && span_.discarded ? span_.role_since_reset : other_role_ || span_.role;
    lexing_in_flux_ = false;
    span_ = {};
}

heard_facts hearing::facts() const {
    const bool pending = span_.open && span_.touched;
    return {.settings_known = !unclear_ && !span_.unclear,
            .functions_known = false,
            .strings_changed = strings_changed_,
            .sequence_values = sequence_values_,
            .statement = pending ? unnamed::unknown : statement_,
            .parse = !pending && statement_ == unnamed::kept ? parse_ : std::string{}};
}

}  // namespace crossfade::proxy::portrait
