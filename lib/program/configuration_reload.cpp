#include "lib/program/configuration_reload.hpp"

#include <spdlog/spdlog.h>

#include <string>

#include "lib/settings/describe.hpp"
#include "lib/telemetry/log.hpp"

namespace crossfade::program {

using settings::reload_outcome;

configuration_reload::configuration_reload(std::string_view program, settings::reloader& flags,
                                           prometheus::Registry& registry, std::function<void()> on_taken)
    : program_(program),
      flags_(flags),
      on_taken_(std::move(on_taken)),
      epoch_(prometheus::BuildGauge()
                 .Name("crossfade_flags_epoch")
                 .Help("Version number of the flags in force.")
                 .Register(registry)
                 .Add({})) {
    auto& reloads = prometheus::BuildCounter()
                        .Name("crossfade_config_reloads_total")
                        .Help("Reloads of the configuration, by their outcome.")
                        .Register(registry);
    for (const auto outcome : {reload_outcome::applied, reload_outcome::unchanged, reload_outcome::refused})
        reloads_[outcome] = &reloads.Add({{"result", std::string{settings::to_string(outcome)}}});
    epoch_.Set(static_cast<double>(flags_.current()->epoch));
}

settings::reload_report configuration_reload::run(std::string_view trigger, std::string_view by) {
    const std::lock_guard alone{one_at_a_time_};
    auto report = flags_.reload(trigger);
    reloads_.at(report.outcome)->Increment();
    epoch_.Set(static_cast<double>(flags_.current()->epoch));
    if (report.outcome == reload_outcome::refused) {
        spdlog::error("{}", settings::report_line(trigger, report));
    } else {
        spdlog::info("{}", settings::report_line(trigger, report));
    }
    if (listener_) listener_(trigger, by, report);
    if (report.outcome == reload_outcome::applied) telemetry::configure_log(program_, flags_.current()->config.log);
    // Files that the configuration names may have changed where its own text has not.
    if (report.outcome != reload_outcome::refused) on_taken_();
    return report;
}

bool configuration_reload::take(const settings::decision& of) {
    const std::lock_guard alone{one_at_a_time_};
    if (!flags_.take(of)) return false;
    epoch_.Set(static_cast<double>(flags_.current()->epoch));
    spdlog::info("the authority by the databases' epoch {}: {}", of.epoch, settings::to_string(of.authorities));
    on_taken_();
    return true;
}

}  // namespace crossfade::program
