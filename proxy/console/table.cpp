#include "proxy/console/table.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstdio>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"

namespace crossfade::proxy::console {
namespace {

using std::chrono::days;
using std::chrono::microseconds;

// Binary timestamps count from here (datetime/timestamp.h, POSTGRES_EPOCH_JDATE).
constexpr instant postgres_epoch{std::chrono::sys_days{std::chrono::year{2000} / 1 / 1}};

format format_at(std::span<const format> formats, std::size_t column) {
    if (formats.empty()) return format::text;
    return formats.size() == 1 ? formats[0] : formats[column];
}

std::uint16_t length_of(type of) {
    switch (of) {
        case type::boolean:
            return 1;
        case type::int8:
        case type::float8:
        case type::timestamptz:
            return 8;
        case type::text:
            break;
    }
    return 0xFFFF;  // -1: varies
}

void put_u64(std::string& to, std::uint64_t number) {
    pgwire::put_u32(to, static_cast<std::uint32_t>(number >> 32));
    pgwire::put_u32(to, static_cast<std::uint32_t>(number));
}

struct as_text {
    std::string operator()(std::monostate) const { return {}; }
    std::string operator()(bool cell) const { return cell ? "t" : "f"; }
    std::string operator()(std::int64_t cell) const { return std::to_string(cell); }
    std::string operator()(const std::string& cell) const { return cell; }
    std::string operator()(double cell) const {
        std::array<char, 32> digits{};
        const auto [end, ignored] = std::to_chars(digits.data(), digits.data() + digits.size(), cell);
        return {digits.data(), end};
    }
    std::string operator()(instant cell) const { return to_string(cell); }
};

struct as_binary {
    std::string operator()(std::monostate) const { return {}; }
    std::string operator()(bool cell) const { return std::string(1, static_cast<char>(cell)); }
    std::string operator()(std::int64_t cell) const { return number(static_cast<std::uint64_t>(cell)); }
    std::string operator()(const std::string& cell) const { return cell; }
    std::string operator()(double cell) const { return number(std::bit_cast<std::uint64_t>(cell)); }
    std::string operator()(instant cell) const {
        return number(static_cast<std::uint64_t>((cell - postgres_epoch).count()));
    }

    static std::string number(std::uint64_t bits) {
        std::string bytes;
        put_u64(bytes, bits);
        return bytes;
    }
};

}  // namespace

std::string to_string(instant at) {
    const auto day = std::chrono::floor<days>(at);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss time{at - day};
    std::array<char, 64> written{};
    const int length = std::snprintf(written.data(), written.size(), "%04d-%02u-%02u %02d:%02d:%02d.%06d+00",
                                     static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                                     static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                                     static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                                     static_cast<int>(time.subseconds().count()));
    return {written.data(), static_cast<std::size_t>(length)};
}

void put_row_description(std::string& to, std::span<const column> columns, std::span<const format> formats) {
    std::string body;
    pgwire::put_u16(body, static_cast<std::uint16_t>(columns.size()));
    for (std::size_t each = 0; each < columns.size(); ++each) {
        pgwire::put_cstring(body, columns[each].name);
        pgwire::put_u32(body, 0);  // of no table
        pgwire::put_u16(body, 0);
        pgwire::put_u32(body, static_cast<std::uint32_t>(columns[each].of));
        pgwire::put_u16(body, length_of(columns[each].of));
        pgwire::put_u32(body, 0xFFFFFFFF);  // no type modifier
        pgwire::put_u16(body, static_cast<std::uint16_t>(format_at(formats, each)));
    }
    to.append(pgwire::framed(pgwire::backend::row_description, body));
}

void put_data_row(std::string& to, const row& cells, std::span<const format> formats) {
    std::string body;
    pgwire::put_u16(body, static_cast<std::uint16_t>(cells.size()));
    for (std::size_t each = 0; each < cells.size(); ++each) {
        const auto& cell = cells[each];
        if (std::holds_alternative<std::monostate>(cell)) {
            pgwire::put_u32(body, 0xFFFFFFFF);
            continue;
        }
        const auto bytes =
            format_at(formats, each) == format::binary ? std::visit(as_binary{}, cell) : std::visit(as_text{}, cell);
        pgwire::put_u32(body, static_cast<std::uint32_t>(bytes.size()));
        body.append(bytes);
    }
    to.append(pgwire::framed(pgwire::backend::data_row, body));
}

}  // namespace crossfade::proxy::console
