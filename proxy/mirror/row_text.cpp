#include "proxy/mirror/row_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace crossfade::proxy::mirror {
namespace {

using field = std::optional<std::string>;

// The text of a row value, as record_out of rowtypes.c writes it: fields between commas, null as nothing; quotes around
// what needs them, and within them quotes and backslashes doubled.
std::optional<std::vector<field>> fields_of(std::string_view record) {
    if (record.size() < 2 || record.front() != '(' || record.back() != ')') return std::nullopt;
    record = record.substr(1, record.size() - 2);
    std::vector<field> made;
    for (std::size_t at = 0;;) {
        auto& value = made.emplace_back();
        if (at < record.size() && record[at] == '"') {
            value.emplace();
            for (++at;; ++at) {
                if (at >= record.size()) return std::nullopt;
                if (record[at] == '"' || record[at] == '\\') {
                    const bool doubled = at + 1 < record.size() && record[at + 1] == record[at];
                    if (!doubled && record[at] == '"') break;
                    if (!doubled) return std::nullopt;
                    ++at;
                }
                value->push_back(record[at]);
            }
            ++at;
        } else {
            const auto end = std::min(record.find(',', at), record.size());
            if (end > at) value.emplace(record.substr(at, end - at));
            at = end;
        }
        if (at == record.size()) return made;
        if (record[at++] != ',') return std::nullopt;
    }
}

template <class Number>
std::optional<Number> number(const field& text) {
    Number value{};
    if (!text) return std::nullopt;
    const auto [end, fault] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (fault != std::errc{} || end != text->data() + text->size()) return std::nullopt;
    return value;
}

// By which a timestamptz has the same text as by the stream's own; as PostgreSQL spells them.
constexpr std::array<std::string_view, 4> zones_alike{"UTC", "Etc/UTC", "GMT", "Etc/GMT"};

// Text that is UTF-8; besides, floats with all of their digits, and dates and intervals that are read alike whatever
// the reader's settings are. The stream's own are those of pgclient::connection.
void judge(row_text& row, std::string_view settings) {
    const auto next = [&] {
        const auto end = std::min(settings.find('/'), settings.size());
        const auto one = settings.substr(0, end);
        settings.remove_prefix(std::min(end + 1, settings.size()));
        return one;
    };
    row.utf8 = next() == "UTF8";
    const auto digits = next();
    const auto interval = next();
    const auto date = next();
    const auto bytea = next();
    const auto commit = next();
    row.faithful = row.utf8 && !digits.empty() && digits.front() != '-' && digits != "0" && interval == "postgres" &&
                   date.starts_with("ISO");
    row.zoned = std::ranges::find(zones_alike, settings) == zones_alike.end();
    row.escaped = bytea != "hex";
    row.flushes = !commit.empty() && commit != "off";
}

constexpr std::size_t own_fields = 3;

}  // namespace

std::string hidden_column(std::string_view reference) {
    // None of these settings but the last can hold a slash.
    return "ROW(pg_catalog.txid_current(), " + std::string{reference} +
           ".tableoid, pg_catalog.concat_ws('/', pg_catalog.current_setting('client_encoding'),"
           " pg_catalog.current_setting('extra_float_digits'), pg_catalog.current_setting('IntervalStyle'),"
           " pg_catalog.current_setting('DateStyle'), pg_catalog.current_setting('bytea_output'),"
           " pg_catalog.current_setting('synchronous_commit'), pg_catalog.current_setting('TimeZone')), " +
           std::string{reference} + ".*)::pg_catalog.text";
}

std::optional<row_text> read_row(std::string_view hidden) {
    auto fields = fields_of(hidden);
    if (!fields || fields->size() < own_fields) return std::nullopt;
    const auto transaction = number<std::uint64_t>((*fields)[0]);
    const auto table = number<std::uint32_t>((*fields)[1]);
    if (!transaction || !table || !(*fields)[2]) return std::nullopt;
    row_text made;
    made.transaction = static_cast<store::source_xid>(*transaction);  // without its epoch
    made.table = *table;
    judge(made, *(*fields)[2]);
    fields->erase(fields->begin(), fields->begin() + own_fields);
    made.values = std::move(*fields);
    return made;
}

}  // namespace crossfade::proxy::mirror
