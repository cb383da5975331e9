#include "proxy/handover/authority_watch.hpp"

#include <spdlog/spdlog.h>
#include <sys/poll.h>

#include <algorithm>
#include <utility>

#include "lib/handover/coordinator.hpp"
#include "lib/pgclient/notified.hpp"

namespace crossfade::proxy::handover {
namespace {

using namespace std::chrono_literals;
using settings::side;
using std::chrono::milliseconds;
using store::handover_state;

// News may be lost with a connection, so the rows are read now and then all the same. A coordinator takes a proxy that
// it hasn't heard of for three seconds for dead.
constexpr auto report_interval = 1s;
constexpr auto good_for = 2500ms;
constexpr milliseconds look_up{200};  // whether to stop
constexpr milliseconds look_again{1000};
constexpr milliseconds look_up_held{50};
constexpr auto longest_opening = 10s;       // then sessions go where it was decided, and meet the fence there
constexpr milliseconds look_up_holding{2};  // whether the sessions have come to a boundary
constexpr auto connect_again = 1s;
// A flip is shorter than that. From then on its lock is asked for, which whoever makes it has for as long as he lives:
// sessions are still held when it is undone or finished.
constexpr auto left_behind = 1s;
constexpr milliseconds clear_up_again{500};

std::string name_of(side which) {
    return std::string{to_string(which)};
}

prometheus::Gauge& gauge(prometheus::Registry& in, const std::string& stream, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(in).Add({{"stream", stream}});
}

prometheus::Family<prometheus::Counter>& flips(prometheus::Registry& in) {
    return prometheus::BuildCounter()
        .Name("crossfade_flips_total")
        .Help("Flips for which this proxy held its sessions, by whether the authority changed.")
        .Register(in);
}

}  // namespace

authority_watch::authority_watch(settings::configuration config, std::string name, prometheus::Registry& metrics)
    : config_(std::move(config)),
      name_(std::move(name)),
      epoch_(gauge(metrics, config_.stream.name, "crossfade_authority_epoch",
                   "Version number of who is the authority, as the databases have it.")),
      on_modern_(gauge(metrics, config_.stream.name, "crossfade_authority_modern",
                       "1: modern is the authority of whatever has no other; 0: legacy.")),
      apart_(gauge(metrics, config_.stream.name, "crossfade_authority_apart",
                   "Groups and tenants that have changed hands by themselves.")),
      holding_(gauge(metrics, config_.stream.name, "crossfade_flip_holding",
                     "1: sessions are held as a flip is under way.")),
      handed_(flips(metrics).Add({{"stream", config_.stream.name}, {"result", "handed"}})),
      undone_(flips(metrics).Add({{"stream", config_.stream.name}, {"result", "undone"}})),
      held_seconds_(
          prometheus::BuildHistogram()
              .Name("crossfade_flip_held_seconds")
              .Help("For how long flips held this proxy's sessions.")
              .Register(metrics)
              .Add({{"stream", config_.stream.name}},
                   prometheus::Histogram::BucketBoundaries{0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10})),
      stale_(prometheus::BuildCounter()
                 .Name("crossfade_authority_stale_total")
                 .Help("Times that an authority didn't say in time that it still is: what began then waited for it.")
                 .Register(metrics)
                 .Add({{"stream", config_.stream.name}})) {}

std::optional<settings::decision> authority_watch::first_look() {
    for (auto* each : {&legacy_, &modern_}) {
        connect(*each);
        look(*each);
    }
    const auto* known = store::newer(legacy_.row, modern_.row);
    if (known == nullptr) {
        spdlog::warn(
            "neither database says who the authority is: the file does, until one of them answers (crossfade init)");
        return std::nullopt;
    }
    const settings::decision decided{known->authorities, static_cast<std::uint64_t>(known->epoch)};
    tell(decided);
    return decided;
}

void authority_watch::tell(const settings::decision& known) {
    known_ = known;
    epoch_.Set(static_cast<double>(known.epoch));
    on_modern_.Set(known.authorities.everything == side::modern ? 1 : 0);
    apart_.Set(static_cast<double>(known.authorities.apart.size()));
}

void authority_watch::start(obedience how) {
    how_ = std::move(how);
    for (auto* each : {&legacy_, &modern_}) {
        how_.rely(each->which, clock::now() + good_for);
        threads_.emplace_back([this, each](const std::stop_token& stopping) { run(*each, stopping); });
    }
    threads_.emplace_back([this](const std::stop_token& stopping) { clear_up_again_and_again(stopping); });
}

void authority_watch::stop() {
    for (auto& each : threads_) each.request_stop();
    threads_.clear();
}

void authority_watch::run(side_link& at, const std::stop_token& stopping) {
    while (!stopping.stop_requested()) {
        connect(at);
        look(at);
        report(at);
        wait(at);
    }
    // Whoever makes a flip need not wait for it to be taken for dead.
    if (at.db) static_cast<void>(at.db->exec(std::string{store::forget_proxy_sql}, {config_.stream.name, name_}));
}

void authority_watch::connect(side_link& to) {
    if (to.db || clock::now() < to.again) return;
    pgclient::open_options options;
    options.application_name = "crossfade-authority";
    options.connect_timeout = 2s;
    options.silence = milliseconds{3s};
    auto opened = pgclient::connection::open(config_.database_of(to.which).dsn, options);
    if (!opened) return lose(to, opened.error());
    to.db.emplace(std::move(*opened));
    const auto listening = to.db->exec("LISTEN \"" + std::string{store::authority_channel} + '"');
    if (!listening) return lose(to, listening.error());
    to.news = true;
    if (!std::exchange(to.said, {}).empty()) spdlog::info("{} says again who the authority is", name_of(to.which));
}

void authority_watch::lose(side_link& at, const pgclient::failure& why) {
    at.db.reset();
    at.again = clock::now() + connect_again;
    const auto text = pgclient::to_string(why);
    if (text != at.said) spdlog::warn("{} can't be asked who the authority is: {}", name_of(at.which), text);
    at.said = text;
}

void authority_watch::look(side_link& at) {
    const auto now = clock::now();
    bool held = false;
    {
        const std::lock_guard alone{mutex_};
        held = flip_.has_value();
    }
    if (!at.db || (!at.news && now - at.looked < (held ? look_up_held : look_again))) return;
    at.news = false;
    at.looked = now;
    auto got = store::load_authority(*at.db, config_.stream.name);
    if (!got) return lose(at, got.error());
    const std::lock_guard alone{mutex_};
    at.row = std::move(*got);
    at.hold_until.reset();
    if (at.row && at.row->holds_for) at.hold_until = now + *at.row->holds_for;
}

void authority_watch::judge() {
    const auto* known = store::newer(legacy_.row, modern_.row);
    if (known == nullptr) return;
    auto& newest = legacy_.row && known == &*legacy_.row ? legacy_ : modern_;
    auto& other = &newest == &legacy_ ? modern_ : legacy_;
    const bool behind = !other.row || other.row->epoch < known->epoch;
    const auto in = [](const side_link& at, auto... states) { return at.row && ((at.row->state == states) || ...); };
    // Decided, and not open yet: nobody takes writes.
    const bool to_open = behind && in(newest, handover_state::handed);
    bool opening = to_open;
    if (!opening) {
        opening_since_.reset();
    } else if (!opening_since_) {
        opening_since_ = clock::now();
    }
    if (opening && clock::now() - *opening_since_ > longest_opening) opening = false;
    if ((!known_ || known->epoch > static_cast<std::int64_t>(known_->epoch)) && !opening) {
        const settings::decision decided{known->authorities, static_cast<std::uint64_t>(known->epoch)};
        tell(decided);
        end_hold(decided);
    }
    // A flip begins on the side that gives something away, and both rows are as new then.
    const bool by_other = !behind && in(other, handover_state::holding, handover_state::fenced);
    auto& from = by_other ? other : newest;
    const bool under_way = in(from, handover_state::holding, handover_state::fenced);
    // Decided and opened, and the old side has not been told: no session waits for it.
    const bool to_end = !behind && (in(newest, handover_state::handed) || in(other, handover_state::handed));
    const bool over = !opening && from.hold_until && *from.hold_until < clock::now();
    if ((opening || under_way) && !over) {
        begin_hold(from, *from.row);
    } else {
        end_hold(std::nullopt);
    }
    if (!under_way && !to_open && !to_end) {
        left_since_.reset();
    } else if (!left_since_) {
        left_since_ = clock::now();
    }
}

void authority_watch::begin_hold(const side_link& from, const store::authority_row& row) {
    const held_flip one{from.which, row.flip};
    if (flip_ == one) return;
    if (!flip_) {
        held_since_ = clock::now();
        holding_.Set(1);
    }
    how_.hold(row.moving);
    flip_ = one;
    reported_busy_.reset();
}

void authority_watch::end_hold(std::optional<settings::decision> decided) {
    if (!flip_ && !decided) return;
    how_.go_on(decided);
    if (!flip_) return;
    flip_.reset();
    (decided ? handed_ : undone_).Increment();
    held_seconds_.Observe(std::chrono::duration<double>(clock::now() - held_since_).count());
    holding_.Set(0);
    legacy_.report_anew = modern_.report_anew = true;
}

authority_watch::word authority_watch::word_for(side_link& to) {
    judge();
    word made;
    made.asked = flip_ && flip_->from == to.which;
    if (made.asked) {
        made.busy = how_.busy();
        made.flip = flip_->id;
    }
    const bool news = made.busy && made.busy != reported_busy_ && (*made.busy == 0 || !reported_busy_);
    made.due = std::exchange(to.report_anew, false) || news || clock::now() - to.reported >= report_interval;
    return made;
}

void authority_watch::report(side_link& to) {
    if (!to.db) return;
    word what;
    {
        const std::lock_guard alone{mutex_};
        what = word_for(to);
    }
    if (!what.due) return;
    const bool holds = what.busy == 0U;
    const auto said = to.db->exec(
        std::string{store::report_proxy_sql},
        {config_.stream.name, name_, holds ? pgclient::parameter{std::to_string(what.flip)} : pgclient::parameter{},
         std::to_string(what.busy.value_or(0))});
    // Before the first `crossfade init` of both ways there is nowhere to say it.
    const bool nowhere = !said && (said.error().sqlstate == "42P01" || said.error().sqlstate == "3F000");
    if (!said && !nowhere) return lose(to, said.error());
    to.reported = clock::now();
    const std::lock_guard alone{mutex_};
    if (what.asked) reported_busy_ = what.busy;
    if (known_ && known_->authorities.has(to.which) && to.good_until != clock::time_point{} &&
        to.reported > to.good_until)
        stale_.Increment();
    // From when it was asked: who was stopped since doesn't know what is true now.
    to.good_until = to.looked + good_for;
    how_.rely(to.which, to.good_until);
}

void authority_watch::wait(side_link& on) {
    auto patience = look_up;
    {
        const std::lock_guard alone{mutex_};
        if (flip_) patience = flip_->from == on.which && reported_busy_ != 0U ? look_up_holding : look_up_held;
    }
    if (!on.db) {
        ::poll(nullptr, 0, static_cast<int>(patience.count()));
        return;
    }
    // What has come with an answer may be younger than that. Who has lost the connection notices when he looks.
    const auto told = pgclient::notified(*on.db, patience);
    on.news = !told || !told->empty();
}

void authority_watch::clear_up_again_and_again(const std::stop_token& stopping) {
    while (!stopping.stop_requested()) {
        bool left = false;
        {
            const std::lock_guard alone{mutex_};
            // A hold may be over by its time, and neither side there to say so.
            judge();
            left = left_since_ && clock::now() - *left_since_ >= left_behind;
        }
        if (left) clear_up(stopping);
        ::poll(nullptr, 0, static_cast<int>((left ? clear_up_again : look_up).count()));
    }
}

// Of a flip whose maker has died, stands still, or was told to stop: everybody may, and the lock lets one.
void authority_watch::clear_up(const std::stop_token& stopping) {
    try {
        crossfade::handover::coordinator by{
            config_, [](const std::string& what) { spdlog::warn("a flip was left behind: {}", what); }};
        if (by.claim()) by.settle(stopping);
    } catch (const crossfade::handover::trouble& why) {
        spdlog::warn("a flip was left behind, and can't be settled yet: {}", why.what());
    }
}

}  // namespace crossfade::proxy::handover
