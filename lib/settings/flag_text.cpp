#include "lib/settings/flag_text.hpp"

#include "lib/settings/values.hpp"

namespace crossfade::settings {
namespace {

std::optional<std::string> set_boolean(std::optional<bool>& into, std::string_view text) {
    const auto value = read_boolean(text);
    if (!value) return "true or false";
    into = value;
    return std::nullopt;
}

std::optional<std::string> set_write_strategy(std::optional<write_strategy>& into, std::string_view text) {
    using enum write_strategy;
    for (const auto each : {legacy_only, legacy_primary, mirror, prefer_modern, modern_only})
        if (text == to_string(each)) {
            into = each;
            return std::nullopt;
        }
    return "legacy-only, legacy-primary, mirror, prefer-modern or modern-only";
}

std::optional<std::string> set_read_strategy(std::optional<read_strategy>& into, std::string_view text) {
    using enum read_strategy;
    for (const auto built : {legacy, prefer_modern, modern})
        if (text == to_string(built)) {
            into = built;
            return std::nullopt;
        }
    std::string allowed = "legacy, prefer-modern or modern";
    if (text == to_string(compare)) allowed += " (compare is not built yet)";
    return allowed;
}

std::optional<std::string> set_mirror_failure(std::optional<mirror_failure>& into, std::string_view text) {
    for (const auto each : {mirror_failure::stream, mirror_failure::fail})
        if (text == to_string(each)) {
            into = each;
            return std::nullopt;
        }
    return "stream or fail";
}

std::optional<std::string> set_share(std::optional<double>& into, std::string_view text) {
    const auto value = read_decimal(text);
    if (!value || *value < 0 || *value > 1) return "a share of rows from 0 to 1, such as 0.0005";
    into = value;
    return std::nullopt;
}

std::optional<std::string> set_percent(std::optional<int>& into, std::string_view text) {
    const auto value = read_integer(text);
    if (!value || *value > 100) return "a whole number from 0 to 100";
    if (*value != 100) return "100 (a canary of less is not built yet)";
    into = 100;
    return std::nullopt;
}

template <class T>
std::optional<std::string> text_of(const std::optional<T>& value) {
    if (!value) return std::nullopt;
    if constexpr (std::is_same_v<T, bool>)
        return boolean_text(*value);
    else if constexpr (std::is_same_v<T, double>)
        return decimal_text(*value);
    else if constexpr (std::is_same_v<T, int>)
        return std::to_string(*value);
    else
        return std::string(to_string(*value));
}

}  // namespace

std::optional<std::string> set_flag(flag_overrides& in, std::string_view name, std::string_view text) {
    if (name == "hybrid_mode_enabled") return set_boolean(in.hybrid_mode_enabled, text);
    if (name == "dual_write_strategy") return set_write_strategy(in.dual_write_strategy, text);
    if (name == "hybrid_read_strategy") return set_read_strategy(in.hybrid_read_strategy, text);
    if (name == "migration_drift_tolerance") return set_share(in.migration_drift_tolerance, text);
    if (name == "cutover_completed") return set_boolean(in.cutover_completed, text);
    if (name == "cutover_guardrail_enabled") return set_boolean(in.cutover_guardrail_enabled, text);
    if (name == "canary_percent") return set_percent(in.canary_percent, text);
    if (name == "on_mirror_failure") return set_mirror_failure(in.on_mirror_failure, text);
    return "the name of a flag";
}

std::optional<std::string> flag_text(const flag_overrides& of, std::string_view name) {
    if (name == "hybrid_mode_enabled") return text_of(of.hybrid_mode_enabled);
    if (name == "dual_write_strategy") return text_of(of.dual_write_strategy);
    if (name == "hybrid_read_strategy") return text_of(of.hybrid_read_strategy);
    if (name == "migration_drift_tolerance") return text_of(of.migration_drift_tolerance);
    if (name == "cutover_completed") return text_of(of.cutover_completed);
    if (name == "cutover_guardrail_enabled") return text_of(of.cutover_guardrail_enabled);
    if (name == "canary_percent") return text_of(of.canary_percent);
    if (name == "on_mirror_failure") return text_of(of.on_mirror_failure);
    return std::nullopt;
}

flag_overrides as_overrides(const flags& of) {
    return {of.hybrid_mode_enabled, of.dual_write_strategy,       of.hybrid_read_strategy, of.migration_drift_tolerance,
            of.cutover_completed,   of.cutover_guardrail_enabled, of.canary_percent,       of.on_mirror_failure};
}

}  // namespace crossfade::settings
