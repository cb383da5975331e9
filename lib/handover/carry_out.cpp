#include "lib/handover/carry_out.hpp"

#include <algorithm>

#include "lib/handover/completion.hpp"
#include "lib/handover/file_record.hpp"
#include "lib/handover/gates.hpp"
#include "lib/handover/gates_parts.hpp"
#include "lib/handover/pause.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using preflight::verdict;

// For what the connection broke in the middle of.
constexpr auto settle_patience = 30s;
constexpr auto between_tries = 1s;

// One flip at a time. What another one leaves is what this one begins with.
bool claimed(coordinator& by, const wish& what, const std::function<void(const std::string&)>& say) {
    const auto until = std::chrono::steady_clock::now() + what.queue;
    for (bool said = false; !by.claim(); said = true) {
        if (std::chrono::steady_clock::now() >= until || what.give_up.stop_requested()) return false;
        if (!said) say("another flip is under way; waiting for its end");
        pause(what.give_up, 100ms);
    }
    return true;
}

// One word for it is enough: what it guards isn't to go along unguarded with what isn't.
bool guardrails_watch(const intent& what, const settings::flag_set& flags) {
    return std::ranges::any_of(scopes_that_move(what, flags), [&](const settings::flag_scope& each) {
        return flags.resolve(each.group, each.tenant).cutover_guardrail_enabled;
    });
}

// Its words, of which those that have changed are to be heeded now.
std::vector<settings::file_word> take_up(const settings::configuration& config, const file_request& what,
                                         settings::side to) {
    auto legacy = gates::connect(config, settings::side::legacy);
    auto words = settings::unheeded(what.words, load_heeded(legacy, config.stream.name), what.read_before);
    forget_heeded(legacy, config.stream.name, words, to);
    return words;
}

// The other gates would say what is missing for a way that nobody can have.
preflight::findings nothing_leads_back(const std::string& completed_at) {
    preflight::findings found;
    found.fail("cutover", no_way_back(completed_at), "docs/operations.md, The end of a cutover");
    return found;
}

}  // namespace

std::string_view told(leftover what) {
    switch (what) {
        case leftover::finished:
            return "a flip that was decided is finished";
        case leftover::undone:
            return "a flip that was not decided is undone";
        case leftover::none:
            break;
    }
    return "nothing was left to settle";
}

std::optional<leftover> settle(const settings::configuration& config,
                               const std::function<void(const std::string&)>& say, const std::stop_token& give_up) {
    const auto until = std::chrono::steady_clock::now() + settle_patience;
    for (;;) {
        try {
            coordinator by{config, say};
            if (!by.claim()) return std::nullopt;
            return by.settle(give_up);
        } catch (const trouble& why) {
            if (std::chrono::steady_clock::now() >= until) throw;
            say(std::string{why.what()} + "; trying again");
            if (!pause(give_up, between_tries)) throw;
        }
    }
}

namespace {

struct aftermath {
    leftover made;
    store::authority_row now;
};

// What became of a flip that broke off. Until the lock is ours its old session may still decide it, and a side that is
// away may have; but what is open was decided. Throws unclear. `before`: the epoch in which it began.
aftermath find_out(const settings::configuration& config, const intent& meant, std::int64_t before,
                   const std::function<void(const std::string&)>& say, const std::stop_token& give_up) {
    const auto until = std::chrono::steady_clock::now() + settle_patience;
    for (;;) {
        std::string why;
        try {
            coordinator by{config, say};
            if (by.claim()) {
                try {
                    const auto made = by.settle(give_up);
                    return {made, by.newest_of_both()};
                } catch (const trouble&) {
                    const auto now = by.newest();
                    const bool opened = now && now->epoch > before && now->authorities == meant.after &&
                                        now->state == store::handover_state::settled;
                    if (opened) return {leftover::none, *now};
                    throw;
                }
            }
            why = "another flip is under way";
        } catch (const trouble& each) {
            why = each.what();
        }
        if (std::chrono::steady_clock::now() >= until) throw unclear(why);
        say(why + "; trying again");
        if (!pause(give_up, between_tries)) throw unclear(why);
    }
}

}  // namespace

outcome carry_out(const settings::configuration& config, const wish& what,
                  const std::function<void(const std::string&)>& say) {
    outcome came;
    intent meant{.to = what.to, .before = {}, .after = {}};
    std::vector<settings::file_word> words;
    bool begun = false;
    std::string broke;
    try {
        coordinator by{config, say};
        if (!claimed(by, what, say)) {
            came.elsewhere = true;
            return came;
        }
        by.settle(what.give_up);
        const auto now = by.newest();
        if (!now) throw trouble("neither database says who the authority is. Way out: crossfade init");
        meant.before = now->authorities;
        came.made.epoch = now->epoch;
        if (what.file) {
            words = take_up(config, *what.file, what.to);
            if (std::ranges::none_of(words,
                                     [&](const auto& each) { return each.changed && each.authority == what.to; })) {
                came.made.done = true;
                came.made.why = "another proxy has heeded this file already, and what was decided since then stays";
                return came;
            }
        }
        meant.after = what.file ? settings::asked_for(meant.before, words, what.to) : what.after(meant.before);
        if (meant.after == meant.before) {
            note_heeded(config, words, what.to, now->epoch, say);
            came.made.done = true;
            came.made.why =
                std::string{to_string(what.to)} + " is the authority of " + to_string(what.scope) + " already";
            return came;
        }
        auto legacy = gates::connect(config, settings::side::legacy);
        auto modern = gates::connect(config, settings::side::modern);
        const bool guarded = !what.overrule && guardrails_watch(meant, config.flags);
        const auto until = std::chrono::steady_clock::now() + (what.look_only ? 0ms : what.patience);
        for (bool said = false;; said = true) {
            came.gates = !now->completed_at.empty() ? nothing_leads_back(now->completed_at)
                                                    : look(config, meant, legacy, modern, what.give_up);
            if (what.give_up.stop_requested())
                throw trouble("given up before it began, as whoever makes it is stopping");
            came.refused = came.gates.count(verdict::fail) > 0 || (came.gates.count(verdict::warn) > 0 && guarded);
            if (!came.refused || !passes_by_itself(came.gates) || std::chrono::steady_clock::now() >= until) break;
            if (!said) say("transactions have run for long; waiting for their end before anything is held");
            pause(what.give_up, 500ms);
        }
        if (what.look_only) return came;
        order placed{.meant = meant,
                     .scope = what.scope,
                     .by = what.by,
                     .program = what.program,
                     .reason = what.reason,
                     .forced = {},
                     .hold_max = what.hold_max,
                     .patience = std::max(0ms, std::chrono::duration_cast<std::chrono::milliseconds>(
                                                   until - std::chrono::steady_clock::now())),
                     .give_up = what.give_up};
        for (const auto& each : came.gates.all())
            if (each.outcome == verdict::warn) placed.forced.push_back(each.id);
        if (came.refused) {
            auto entry = entry_of(config.stream.name, placed);
            entry.outcome = "refused:";
            for (const auto& each : came.gates.all())
                if (preflight::is_in_the_way(each.outcome)) entry.outcome += ' ' + each.id;
            auto& old_side = what.to == settings::side::modern ? legacy : modern;
            if (const auto noted = store::append_audit(old_side, entry); !noted)
                say("the refusal is not in the audit log: " + pgclient::to_string(noted.error()));
            return came;
        }
        begun = true;
        came.made = by.flip(placed);
        if (came.made.done) note_heeded(config, words, what.to, now->epoch, say);
        return came;
    } catch (const trouble& why) {
        // Before there was anything to be found out.
        if (!begun) throw;
        broke = why.what();
        say(std::string{why.what()} + "; finding out what became of the flip");
    }
    const auto before = came.made.epoch;
    const auto [made, now] = find_out(config, meant, before, say, what.give_up);
    came.made.done = now.authorities == meant.after;
    if (came.made.done) note_heeded(config, words, what.to, before, say);
    came.made.why = came.made.done ? std::string{told(made)} : "it broke off: " + broke;
    came.made.attempts = 1;
    came.made.epoch = now.epoch;
    return came;
}

}  // namespace crossfade::handover
