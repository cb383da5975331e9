#include "lib/settings/reload.hpp"

#include <algorithm>
#include <exception>
#include <set>
#include <utility>

#include "lib/settings/clashes.hpp"
#include "lib/settings/entries.hpp"

namespace crossfade::settings {
namespace {

std::string scope_text(const flag_set::scope& of) {
    if (of.group.empty() && of.tenant.empty()) return "the defaults";
    std::string text;
    if (!of.group.empty()) text = "group " + of.group;
    if (!of.tenant.empty()) text += (text.empty() ? "tenant " : " of tenant ") + of.tenant;
    return text;
}

// What a reload takes of `next`; the rest stays as it was when the program started. keys.cpp says the same by name.
configuration merged(const configuration& current, const configuration& next) {
    configuration taken = current;
    taken.flags = next.flags;
    taken.tenants = next.tenants;
    taken.log.level = next.log.level;
    // All of the proxy's, and then back what is bound to sockets, threads and what runs already.
    const auto& at_start = current.proxy;
    taken.proxy = next.proxy;
    taken.proxy.listen = at_start.listen;
    taken.proxy.admin = at_start.admin;
    taken.proxy.threads = at_start.threads;
    taken.proxy.max_message_bytes = at_start.max_message_bytes;
    taken.proxy.connect_timeout = at_start.connect_timeout;
    taken.proxy.login_timeout = at_start.login_timeout;
    taken.proxy.drain_timeout = at_start.drain_timeout;
    taken.proxy.reuse_port = at_start.reuse_port;
    taken.proxy.io_uring = at_start.io_uring;
    taken.proxy.statement_cache_entries = at_start.statement_cache_entries;
    taken.proxy.statement_cache_bytes = at_start.statement_cache_bytes;
    taken.proxy.capture = at_start.capture;
    taken.proxy.max_unacknowledged_events = at_start.max_unacknowledged_events;
    taken.cdc.verify_mirrored_percent = next.cdc.verify_mirrored_percent;
    return taken;
}

std::string listed(const std::vector<std::string>& keys) {
    std::string text;
    for (const auto& each : keys) text += (text.empty() ? "" : ", ") + each;
    return text;
}

bool any_apart(const assignment& authorities, std::string flag_scope::*by) {
    return std::ranges::any_of(authorities.apart, [&](const auto& each) { return !(each.first.*by).empty(); });
}

}  // namespace

std::string_view to_string(reload_outcome outcome) {
    switch (outcome) {
        case reload_outcome::applied:
            return "applied";
        case reload_outcome::unchanged:
            return "unchanged";
        case reload_outcome::refused:
            return "refused";
    }
    return "";
}

std::vector<std::string> reload_objections(const configuration& current, const configuration& next) {
    std::set<flag_set::scope> scopes;
    for (const auto* each : {&current, &next})
        for (auto& scope : each->flags.scopes()) scopes.insert(std::move(scope));

    std::vector<std::string> objections;
    for (const auto& scope : scopes) {
        const auto before = authority(current.flags.resolve(scope.group, scope.tenant));
        const auto after = authority(next.flags.resolve(scope.group, scope.tenant));
        if (before == after) continue;
        objections.push_back(
            scope_text(scope) + ": the authority would change from " + std::string(to_string(before)) + " to " +
            std::string(to_string(after)) +
            ", and rows in flight would be lost to the new one. With stream.both_ways `crossfade flip` "
            "does it while the application runs; without, stop the application's writes, wait "
            "until crossfade-cdc has applied everything, then restart crossfade-proxy and "
            "crossfade-cdc with the new file");
    }
    return objections;
}

std::vector<std::string> regrouping_objections(const configuration& current, const configuration& next,
                                               const assignment& authorities) {
    std::vector<std::string> objections;
    const auto object = [&](const std::string& key, std::string_view parts, std::string_view what) {
        objections.push_back(key + ": " + std::string{parts} + " have different authorities (" +
                             to_string(authorities) + "), and a " + std::string{what} +
                             " would change hands by this alone. Bring them together by `crossfade flip` before");
    };
    if (any_apart(authorities, &flag_scope::tenant)) {
        const auto& now = current.tenants;
        if (now.session != next.tenants.session || now.parameter != next.tenants.parameter)
            object("tenants.session", "tenants", "session");
        if (now.column != next.tenants.column) object("tenants.column", "tenants", "row");
    }
    if (!any_apart(authorities, &flag_scope::group)) return objections;
    const auto tables = [](const configuration& of, const std::string& group) {
        const auto found = of.flags.groups().find(group);
        return found == of.flags.groups().end() ? std::vector<std::string>{} : found->second.tables;
    };
    std::set<std::string> groups;
    for (const auto* each : {&current, &next})
        for (const auto& [name, ignored] : each->flags.groups()) groups.insert(name);
    for (const auto& each : groups)
        if (tables(current, each) != tables(next, each)) object("groups." + each + ".tables", "groups", "table");
    return objections;
}

reloader::reloader(std::string path, environment env, configuration first, vetting vet)
    : path_(std::move(path)), env_(std::move(env)), vet_(std::move(vet)), of_file_(std::move(first)) {
    current_ = std::make_shared<const in_force>(in_force{of_file_, 1});
}

snapshot reloader::current() const {
    return std::atomic_load(&current_);
}

void reloader::on_report(std::function<void(std::string_view, const reload_report&)> listener) {
    const std::lock_guard alone(reloading_);
    listener_ = std::move(listener);
}

void reloader::ignore_authority(std::function<std::optional<assignment>()> who) {
    ignores_authority_ = true;
    who_ = std::move(who);
}

std::vector<std::string> reloader::ownership_objections(const configuration& now, const configuration& next) const {
    if (decided_) return regrouping_objections(of_file_, next, decided_->authorities);
    if (!ignores_authority_) return reload_objections(now, next);
    // Who it is matters only where that would be in the way if anything were apart.
    const assignment all_apart{side::legacy, {{{"a group", "a tenant"}, side::modern}}};
    if (!who_ || regrouping_objections(of_file_, next, all_apart).empty()) return {};
    if (const auto known = who_()) return regrouping_objections(of_file_, next, *known);
    return {
        "groups, tenants: neither database says who the authority is, and by this alone a table, a session or a row "
        "might change hands. Reload again when one of them answers"};
}

reload_report reloader::take(configuration next) {
    const auto now = current();
    reload_report report;
    report.epoch = now->epoch;
    for (const auto& each : differences(now->config, next))
        if (each.when == takes_effect::at_start) report.restart.push_back(each.key);
    for (auto& each : differences(of_file_, next)) report.changes.push_back(std::move(each.text));

    // Where the databases have said who it is, the file's opinion counts for nothing.
    report.problems = ownership_objections(now->config, next);
    auto taken = merged(now->config, next);
    // The file is sound by itself, and part of it waits.
    for (const auto& each : clashes(taken))
        report.problems.push_back(each.key + ": " + each.found + "; allowed: " + each.allowed +
                                  ". What the file says of " + listed(report.restart) +
                                  " holds from the next start on: restart with it, or leave out what doesn't go with "
                                  "what is in force");
    if (vet_)
        for (auto& each : vet_(taken)) report.problems.push_back(std::move(each));
    if (!report.problems.empty()) {
        report.outcome = reload_outcome::refused;
        return report;
    }
    report.read_before = std::exchange(read_at_, decided_ ? decided_->epoch : 0);
    // The file's text may differ where its meaning doesn't, as a pattern's place in a list or a comment.
    if (next == of_file_) return report;

    if (decided_) taken.flags = taken.flags.under(decided_->authorities);
    report.outcome = reload_outcome::applied;
    if (decided_) {
        report.words = changed_words(of_file_.flags, next.flags);
        report.says = next.flags;
    }
    report.epoch = now->epoch + (taken.flags == now->config.flags ? 0 : 1);
    auto replacement = std::make_shared<const in_force>(in_force{std::move(taken), report.epoch, decided_});
    of_file_ = std::move(next);
    std::atomic_store(&current_, snapshot(std::move(replacement)));
    return report;
}

bool reloader::take(const decision& of) {
    const std::lock_guard alone(reloading_);
    if (decided_ && of.epoch <= decided_->epoch) return false;
    const auto now = current();
    auto taken = now->config;
    // From the file's: what the other side's strategy was there is in force again when it is in charge again.
    taken.flags = of_file_.flags.under(of.authorities);
    if (!decided_) read_at_ = of.epoch;
    decided_ = of;
    std::atomic_store(&current_,
                      snapshot(std::make_shared<const in_force>(in_force{std::move(taken), now->epoch + 1, decided_})));
    return true;
}

reload_report reloader::reload(std::string_view trigger) {
    const std::lock_guard alone(reloading_);
    reload_report report;
    try {
        if (auto read = load(path_, env_)) {
            report = take(std::move(*read));
        } else {
            report.outcome = reload_outcome::refused;
            for (const auto& each : read.error().problems) report.problems.push_back(to_string(each));
        }
    } catch (const std::exception& error) {
        report = {};
        report.outcome = reload_outcome::refused;
        report.problems.emplace_back(std::string("the file could not be taken: ") + error.what());
    }
    report.epoch = current()->epoch;
    if (report.outcome == reload_outcome::unchanged || !listener_) return report;
    try {
        listener_(trigger, report);
    } catch (const std::exception& error) {
        report.problems.emplace_back(std::string("what listens to reloads failed: ") + error.what());
    }
    return report;
}

}  // namespace crossfade::settings
