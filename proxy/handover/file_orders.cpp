#include "proxy/handover/file_orders.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "lib/handover/carry_out.hpp"

namespace crossfade::proxy::handover {
namespace {

using namespace std::chrono_literals;
using settings::side;

// Another flip is under way: that of a proxy which was quicker, most likely.
constexpr auto ask_again = 250ms;
constexpr auto patience = 120s;

// What proxies are to hold: the one scope that moves, or everything.
settings::flag_scope scope_of(const std::vector<settings::file_word>& words, side to) {
    std::optional<settings::flag_scope> only;
    for (const auto& each : words) {
        if (!each.changed || each.authority != to) continue;
        if (only) return {};
        only = each.scope;
    }
    return only.value_or(settings::flag_scope{});
}

}  // namespace

file_orders::file_orders(std::function<settings::snapshot()> in_force, std::string name, prometheus::Registry& metrics)
    : in_force_(std::move(in_force)), name_(std::move(name)) {
    auto& family = prometheus::BuildCounter()
                       .Name("crossfade_file_flips_total")
                       .Help("Flips that a change of the file has asked this proxy for, by what became of them.")
                       .Register(metrics);
    for (const auto& [what, label] : {std::pair{result::done, "done"}, std::pair{result::refused, "refused"},
                                      std::pair{result::undone, "undone"}, std::pair{result::failed, "failed"}})
        results_[what] = &family.Add({{"stream", in_force_()->config.stream.name}, {"result", label}});
}

void file_orders::start() {
    thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
}

void file_orders::stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
}

void file_orders::take(std::string_view trigger, const settings::reload_report& report) {
    if (report.words.empty()) return;
    const std::lock_guard alone{mutex_};
    order newest{report.words, report.says, report.read_before, std::string{trigger}};
    if (next_) newest.join(*next_);
    next_ = std::move(newest);
    asked_.notify_all();
}

void file_orders::order::join(const order& undone) {
    words = settings::joined(undone.words, std::move(words), says);
    read_before = std::min(read_before, undone.read_before);
}

void file_orders::run(const std::stop_token& stopping) {
    for (;;) {
        order what;
        {
            std::unique_lock alone{mutex_};
            if (!asked_.wait(alone, stopping, [this] { return next_.has_value(); })) return;
            what = std::move(*next_);
            next_.reset();
        }
        carry_out(what, stopping);
    }
}

void file_orders::carry_out(const order& what, const std::stop_token& stopping) {
    auto left = what;
    for (const auto to : {side::modern, side::legacy}) {
        const bool any = std::ranges::any_of(
            what.words, [to](const settings::file_word& each) { return each.changed && each.authority == to; });
        if (!any) continue;
        const auto until = std::chrono::steady_clock::now() + patience;
        for (;;) {
            auto came = try_once(what, to, stopping);
            std::unique_lock alone{mutex_};
            if (!came && std::chrono::steady_clock::now() >= until) {
                spdlog::error("another flip was under way all the time: what the file asks for is not done");
                came = result::failed;
            }
            if (came) {
                results_.at(*came)->Increment();
                break;
            }
            // A newer file may have another opinion of it.
            if (asked_.wait_for(alone, stopping, ask_again, [this] { return next_.has_value(); })) {
                next_->join(left);
                return;
            }
            if (stopping.stop_requested()) return;
        }
        for (auto& each : left.words) each.changed = each.changed && each.authority != to;
    }
}

// nullopt: another flip is under way.
std::optional<file_orders::result> file_orders::try_once(const order& what, side to, const std::stop_token& stopping) {
    const auto config = in_force_()->config;
    const auto scope = scope_of(what.words, to);
    const auto text = "by the file: " + std::string{to_string(to)} + " for " + to_string(scope);
    try {
        const auto came =
            crossfade::handover::carry_out(config,
                                           {.to = to,
                                            .scope = scope,
                                            .file = crossfade::handover::file_request{what.words, what.read_before},
                                            .by = "the file, by " + name_,
                                            .program = "crossfade-proxy " + name_,
                                            .reason = "reload by " + what.trigger,
                                            .give_up = stopping},
                                           [&](const std::string& said) { spdlog::info("{}: {}", text, said); });
        if (came.elsewhere) return std::nullopt;
        if (came.refused) {
            for (const auto& each : came.gates.all())
                if (preflight::is_in_the_way(each.outcome))
                    spdlog::error("{}: refused: {}: {}{}", text, each.id, each.found,
                                  each.mend.empty() ? "" : "; way out: " + each.mend);
            spdlog::error("{}: refused, and nothing has changed: the file and the databases differ", text);
            return result::refused;
        }
        if (!came.made.done) {
            spdlog::error("{}: undone after {} attempts: {}", text, came.made.attempts, came.made.why);
            return result::undone;
        }
        spdlog::info("{}: done, epoch {}{}", text, came.made.epoch,
                     came.made.attempts == 0
                         ? "; " + came.made.why
                         : ", writes were held for " + std::to_string(came.made.held.count() / 1000) + " ms");
        return result::done;
    } catch (const crossfade::handover::unclear& why) {
        spdlog::error(
            "{}: what became of it is not known: {}; way out: crossfade flip --settle, as soon as both databases "
            "answer",
            text, why.what());
        return result::failed;
    } catch (const std::exception& why) {
        spdlog::error("{}: {}", text, why.what());
        return result::failed;
    }
}

}  // namespace crossfade::proxy::handover
