#include "proxy/mirror/waiting_list.hpp"

#include <algorithm>
#include <iterator>

namespace crossfade::proxy::mirror {

std::string_view to_string(wait_end how) {
    switch (how) {
        case wait_end::applied:
            return "applied";
        case wait_end::late:
            return "late";
        case wait_end::degraded:
            return "degraded";
    }
    return "";
}

bool waiting_list::enter(clock::time_point since, milliseconds timeout, release tell) {
    if (degraded_) return false;
    unmarked_.push_back({since, since + timeout, std::move(tell)});
    return true;
}

void waiting_list::mark_begun() {
    making_ = true;
    missed_ = false;
    std::ranges::move(unmarked_, std::back_inserter(making_for_));
    unmarked_.clear();
}

void waiting_list::mark_made(std::optional<std::uint64_t> number, clock::time_point now) {
    making_ = false;
    if (!number) {
        missed_ = true;  // it may have been for that
        // In front of those who came since.
        for (; !making_for_.empty(); making_for_.pop_back()) unmarked_.push_front(std::move(making_for_.back()));
        return;
    }
    for (auto& each : making_for_) {
        each.behind = *number;
        marked_.push_back(std::move(each));
    }
    making_for_.clear();
    end_applied(now);
}

void waiting_list::applied(std::uint64_t number, clock::time_point now) {
    applied_ = std::max(applied_, number);
    end_applied(now);
}

void waiting_list::end_applied(clock::time_point now) {
    for (; !marked_.empty() && marked_.front().behind <= applied_; marked_.pop_front())
        end(std::move(marked_.front()), wait_end::applied, now);
}

void waiting_list::end(wait&& one, wait_end how, clock::time_point now) {
    const auto took = now - one.since;
    if (one.tell) {
        ended_.push_back({how, took, std::move(one.tell)});
    } else {
        probing_ = false;
        const bool quick = how == wait_end::applied && took <= (one.deadline - one.since) / 2;
        probes_ = quick ? probes_ + 1 : 0;
        if (probes_ >= probes_to_recover) degraded_ = false;
    }
    if (how == wait_end::late && !degraded_) {
        degraded_ = true;
        probes_ = 0;
        next_probe_ = now + probe_interval;
    }
}

void waiting_list::end_late(std::deque<wait>& of, clock::time_point now) {
    // A shorter timeout since a reload may make a later one due before an earlier one.
    const auto in_time =
        std::stable_partition(of.begin(), of.end(), [&](const wait& one) { return one.deadline > now; });
    for (auto each = in_time; each != of.end(); ++each) end(std::move(*each), wait_end::late, now);
    of.erase(in_time, of.end());
}

void waiting_list::look_at_clock(clock::time_point now, milliseconds timeout) {
    for (auto* all : {&marked_, &making_for_, &unmarked_}) end_late(*all, now);
    if (degraded_ && !probing_ && now >= next_probe_) {
        probing_ = true;
        next_probe_ = now + probe_interval;
        unmarked_.push_back({now, now + timeout, nullptr});
    }
}

void waiting_list::give_up(clock::time_point now) {
    for (auto* all : {&marked_, &making_for_, &unmarked_}) {
        for (auto& each : *all) end(std::move(each), wait_end::late, now);
        all->clear();
    }
}

}  // namespace crossfade::proxy::mirror
