#include "lib/telemetry/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <string>

#include "lib/telemetry/log_format.hpp"

namespace crossfade::telemetry {

namespace {

// Length of the well-formed UTF-8 sequence at the start of `text`, 0 where there is none (Unicode 15, table 3-7).
std::size_t sequence_length(std::string_view text) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto continues = [&](std::size_t from, std::size_t to) {
        if (text.size() < to) return false;
        for (std::size_t i = from; i < to; ++i)
            if ((at(i) & 0xC0U) != 0x80U) return false;
        return true;
    };
    const unsigned char lead = at(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return continues(1, 2) ? 2 : 0;
    if (lead >= 0xE0 && lead <= 0xEF) {
        if (!continues(1, 3)) return 0;
        const bool overlong = lead == 0xE0 && at(1) < 0xA0;
        const bool surrogate = lead == 0xED && at(1) > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (!continues(1, 4)) return 0;
        const bool overlong = lead == 0xF0 && at(1) < 0x90;
        const bool beyond = lead == 0xF4 && at(1) > 0x8F;
        return overlong || beyond ? 0 : 4;
    }
    return 0;
}

void append_hex(std::string& to, const char* format, unsigned value) {
    std::array<char, 8> digits{};
    std::snprintf(digits.data(), digits.size(), format, value);
    to += digits.data();
}

// RFC 3339 in UTC with milliseconds.
void append_time(std::string& to, spdlog::log_clock::time_point at) {
    using namespace std::chrono;
    const auto since = at.time_since_epoch();
    const std::time_t whole = duration_cast<seconds>(since).count();
    std::tm parts{};
    gmtime_r(&whole, &parts);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                  parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                  static_cast<int>(duration_cast<milliseconds>(since).count() % 1000));
    to += text.data();
}

std::string_view name_of(spdlog::level::level_enum level) {
    const auto name = spdlog::level::to_string_view(level);
    return {name.data(), name.size()};
}

class line_formatter final : public spdlog::formatter {
  public:
    line_formatter(std::string_view program, settings::log_format format) : program_(program), format_(format) {}

    void format(const spdlog::details::log_msg& record, spdlog::memory_buf_t& into) override {
        const std::string_view message{record.payload.data(), record.payload.size()};
        line_.clear();
        if (format_ == settings::log_format::json) {
            line_ += R"({"time":")";
            append_time(line_, record.time);
            line_ += R"(","level":")";
            line_ += name_of(record.level);
            line_ += R"(","program":")";
            append_json_escaped(line_, program_);
            line_ += R"(","message":")";
            append_json_escaped(line_, message);
            line_ += "\"}\n";
        } else {
            append_time(line_, record.time);
            line_ += ' ';
            line_ += name_of(record.level);
            line_ += ' ';
            line_ += program_;
            line_ += ": ";
            append_one_line(line_, message);
            line_ += '\n';
        }
        into.append(line_.data(), line_.data() + line_.size());
    }

    std::unique_ptr<spdlog::formatter> clone() const override {
        return std::make_unique<line_formatter>(program_, format_);
    }

  private:
    std::string program_;
    settings::log_format format_;
    std::string line_;  // the sink calls under its lock
};

}  // namespace

void append_json_escaped(std::string& to, std::string_view text) {
    while (!text.empty()) {
        const std::size_t length = sequence_length(text);
        const char first = text.front();
        if (length == 0) {
            to += "\xEF\xBF\xBD";
        } else if (length > 1) {
            to += text.substr(0, length);
        } else if (first == '"' || first == '\\') {
            to += '\\';
            to += first;
        } else if (first == '\n') {
            to += "\\n";
        } else if (first == '\t') {
            to += "\\t";
        } else if (static_cast<unsigned char>(first) < 0x20 || first == 0x7F) {
            append_hex(to, "\\u%04x", static_cast<unsigned char>(first));
        } else {
            to += first;
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
}

void append_one_line(std::string& to, std::string_view text) {
    for (const char c : text) {
        if (c == '\n') {
            to += "\\n";
        } else if (c == '\t') {
            to += "\\t";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            append_hex(to, "\\x%02x", static_cast<unsigned char>(c));
        } else {
            to += c;
        }
    }
}

std::unique_ptr<spdlog::formatter> make_formatter(std::string_view program, settings::log_format format) {
    return std::make_unique<line_formatter>(program, format);
}

void configure_log(std::string_view program, const settings::log& config) {
    // spdlog's default logger may be swapped only while nobody logs. So it is swapped once, at start; a reload sets
    // level and format on the same logger, which is safe at any time.
    static std::once_flag installed;
    std::call_once(installed, [] {
        spdlog::set_default_logger(
            std::make_shared<spdlog::logger>("crossfade", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
    });
    const auto logger = spdlog::default_logger();
    logger->set_formatter(make_formatter(program, config.format));
    const auto level = spdlog::level::from_str(config.level);
    // from_str answers `off` for what it doesn't know; a log that falls silent over a typo would be the wrong way
    // round.
    logger->set_level(level == spdlog::level::off && config.level != "off" ? spdlog::level::info : level);
}

}  // namespace crossfade::telemetry
