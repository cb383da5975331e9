#pragma once

#include <algorithm>
#include <concepts>
#include <initializer_list>

#include "lib/settings/section.hpp"
#include "lib/settings/values.hpp"

namespace crossfade::settings {

// Reads single values of one section into what holds the default; an absent key leaves it. What is out of bounds or
// no such value becomes a finding that names the bounds.
class field_reader {
  public:
    explicit field_reader(const section& from) : from_(from) {}

    template <std::unsigned_integral T>
    void number(std::string_view key, T& into, T low, T high) const {
        take(key, into, low, high, read_integer, [](std::uint64_t value) { return std::to_string(value); });
    }
    void number(std::string_view key, unsigned& into, unsigned low, unsigned high) const {
        number<unsigned>(key, into, low, high);
    }
    void size(std::string_view key, std::size_t& into, std::size_t low, std::size_t high) const {
        take(key, into, low, high, read_size, size_text);
    }
    void duration(std::string_view key, std::chrono::milliseconds& into, std::chrono::milliseconds low,
                  std::chrono::milliseconds high) const {
        take(key, into, low, high, read_duration, duration_text);
    }
    void boolean(std::string_view key, bool& into) const {
        const auto text = from_.text(key);
        if (!text) return;
        const auto value = read_boolean(text->text);
        if (value)
            into = *value;
        else
            from_.out().add(text->at, quote_found(text->text), "true or false");
    }
    void listener(std::string_view key, endpoint& into) const {
        const auto text = from_.text(key);
        if (!text) return;
        auto value = read_endpoint(text->text);
        if (value)
            into = std::move(*value);
        else
            from_.out().add(text->at, quote_found(text->text),
                            "host:port such as 127.0.0.1:6432, 0.0.0.0:6432 or [::1]:6432; port 0 takes a free one");
    }
    // 1 to 4096 bytes without control characters.
    void text(std::string_view key, std::string& into) const {
        const auto text = from_.text(key);
        if (!text) return;
        const bool sound = !text->text.empty() && text->text.size() <= 4096 &&
                           std::ranges::none_of(text->text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
        if (sound)
            into = text->text;
        else
            from_.out().add(text->at, quote_found(text->text), "1 to 4096 bytes without control characters");
    }
    void one_of(std::string_view key, std::string& into, std::initializer_list<std::string_view> allowed) const {
        const auto text = from_.text(key);
        if (!text) return;
        for (const auto each : allowed)
            if (text->text == each) {
                into = text->text;
                return;
            }
        std::string list;
        for (const auto each : allowed) list += (list.empty() ? "" : ", ") + std::string(each);
        from_.out().add(text->at, quote_found(text->text), list);
    }

  private:
    template <class T>
    void take(std::string_view key, T& into, T low, T high, auto&& read, auto&& show) const {
        const auto text = from_.text(key);
        if (!text) return;
        const auto value = read(text->text);
        if (value && *value >= low && *value <= high)
            into = static_cast<T>(*value);
        else
            from_.out().add(text->at, quote_found(text->text), show(low) + " to " + show(high));
    }

    const section& from_;
};

}  // namespace crossfade::settings
