#include "cdc/follow/retention.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace crossfade::cdc::follow {

namespace {

using std::chrono::milliseconds;

std::optional<std::int64_t> limit(const std::map<std::string, std::string>& settings, const char* name) {
    const auto found = settings.find(name);
    if (found == settings.end()) return std::nullopt;
    std::int64_t value = 0;
    const auto* end = found->second.data() + found->second.size();
    const auto [stop, error] = std::from_chars(found->second.data(), end, value);
    if (error != std::errc{} || stop != end || value < 0) return std::nullopt;
    return value;
}

double seconds(milliseconds of) {
    return std::chrono::duration<double>(of).count();
}

// "3 d 4 h", "5 h 6 min", "7 min", "8 s".
std::string text(milliseconds of) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(of).count();
    const auto part = [](std::int64_t count, const char* unit) { return std::to_string(count) + ' ' + unit; };
    if (whole >= 86400) return part(whole / 86400, "d") + ' ' + part(whole % 86400 / 3600, "h");
    if (whole >= 3600) return part(whole / 3600, "h") + ' ' + part(whole % 3600 / 60, "min");
    return whole >= 60 ? part(whole / 60, "min") : part(whole, "s");
}

}  // namespace

retention_limits limits_of(const std::map<std::string, std::string>& settings) {
    retention_limits found;
    if (const auto time = limit(settings, "retention.ms")) found.time = milliseconds{*time};
    found.bytes = limit(settings, "retention.bytes");
    return found;
}

retention_outlook judge_retention(const topic_place& at, const retention_limits& limits, const std::string& topic,
                                  const std::string& anew) {
    retention_outlook found;
    if (limits.time) found.retention_seconds = seconds(*limits.time);
    if (at.next < at.low) {
        found.used = 1;
        found.gone = true;
        found.warning = "topic " + topic + " has deleted events that are not applied: it begins at offset " +
                        std::to_string(at.low) + ", the follower is at " + std::to_string(at.next);
        found.way_out = anew;
        return found;
    }
    if (at.next >= at.high) return found;

    const std::string way_out = "see why nothing is applied, and until then raise the topic's ";
    double by_time = 0;
    if (at.age) {
        const auto age = std::max(*at.age, milliseconds{0});
        found.age_seconds = seconds(age);
        // A topic that keeps nothing is at its end from the first moment.
        if (limits.time) by_time = limits.time->count() == 0 ? 1 : seconds(age) / seconds(*limits.time);
    }
    double by_size = 0;
    if (limits.bytes && at.low > 0)
        by_size = static_cast<double>(at.high - at.next) / static_cast<double>(at.high - at.low);
    found.used = std::max(by_time, by_size);
    if (found.used < retention_alarm) return found;
    if (by_time >= by_size) {
        found.warning = "the next event to apply is " + text(*at.age) + " old, and topic " + topic +
                        " keeps events for " + text(*limits.time) + " (retention.ms)";
        found.way_out = way_out + "retention.ms";
    } else {
        found.warning = std::to_string(std::lround(by_size * 100)) + "% of what topic " + topic +
                        " holds is not applied, and it deletes the oldest beyond " + std::to_string(*limits.bytes) +
                        " bytes (retention.bytes)";
        found.way_out = way_out + "retention.bytes";
    }
    return found;
}

}  // namespace crossfade::cdc::follow
