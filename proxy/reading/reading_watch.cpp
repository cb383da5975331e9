#include "proxy/reading/reading_watch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "lib/pgclient/notified.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/retry/backoff.hpp"
#include "lib/store/backfill.hpp"

namespace crossfade::proxy::reading {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

// A figure is as old as the interval between two marks, so there are several of them within what is allowed.
constexpr int marks_within_lag = 5;
constexpr milliseconds shortest_interval{10};
constexpr milliseconds longest_interval{200};
constexpr milliseconds look_up{50};        // while waiting for news: whether to stop
constexpr milliseconds look_up_idle{100};  // whether the flags want it now
constexpr auto look_at_tables_every = 1s;
static_assert(look_at_tables_every < follower_view::longest_unseen);
static_assert(follower_view::longest_unseen < store::until_known_of);
constexpr milliseconds look_again_after{50};  // where something is amiss
constexpr std::size_t most_said = 20;

// $1 the stream. What is being copied, or waits for DDL, is not what legacy has, however far the stream is.
constexpr const char* live_tables =
    "SELECT t.table_name, coalesce(d.open, 0) / greatest(max(c.reltuples), max(pg_stat_get_live_tuples(c.oid)), 1)"
    " FROM crossfade.tables AS t"
    " LEFT JOIN (SELECT table_name, count(*)::float8 AS open FROM crossfade.drift"
    "            WHERE stream = $1 AND state IN ('suspect', 'confirmed') GROUP BY table_name) AS d USING (table_name)"
    " LEFT JOIN (pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace)"
    "   ON n.nspname || '.' || c.relname = t.table_name"
    " WHERE t.stream = $1 AND t.state = 'live'"
    "   AND NOT EXISTS (SELECT FROM crossfade.backfills AS b"
    "                   WHERE b.stream = $1 AND b.table_name = t.table_name AND b.state <> 'done')"
    "   AND NOT EXISTS (SELECT FROM crossfade.dead_letters AS l"
    "                   WHERE l.stream = $1 AND l.table_name = t.table_name AND l.operation = 'ddl')"
    " GROUP BY t.table_name, d.open";

// Names that several have, and views.
constexpr const char* names =
    "SELECT c.relname, NULL FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    "   AND n.nspname !~ '^pg_(toast|temp)'"
    " GROUP BY c.relname HAVING count(*) > 1"
    " UNION ALL SELECT n.nspname || '.' || c.relname, 'v' FROM pg_class AS c JOIN pg_namespace AS n ON n.oid ="
    " c.relnamespace WHERE c.relkind = 'v' AND n.nspname NOT IN ('pg_catalog', 'information_schema')";

// $1 what is live. A view's rows are its tables'; a materialized one's are of when each side last refreshed it.
constexpr const char* anything_else =
    "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT c.relispartition"
    "   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crossfade') AND n.nspname !~ '^pg_(toast|temp)'"
    "   AND n.nspname || '.' || c.relname NOT IN (SELECT unnest($1::text[])))";

prometheus::Gauge& gauge(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(in).Add({});
}

pgclient::open_options as_reader() {
    pgclient::open_options options;
    options.application_name = "crossfade-reading";
    options.connect_timeout = 2s;
    options.silence = 3000ms;
    return options;
}

// Troubles are said once.
class complaint {
  public:
    explicit complaint(const char* about) : about_(about) {}
    void say(const pgclient::failure& why) {
        const auto text = pgclient::to_string(why);
        if (text != said_) spdlog::warn("reads from modern: {}: {}", about_, text);
        said_ = text;
    }
    void settled() { said_.clear(); }

  private:
    const char* about_;
    std::string said_;
};

std::optional<double> number_of(std::string_view text) {
    double value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

reading_watch::reading_watch(std::function<settings::snapshot()> in_force, follower_view& view,
                             prometheus::Registry& metrics)
    : in_force_(std::move(in_force)),
      view_(view),
      lag_(gauge(metrics, "crossfade_read_lag_seconds",
                 "How old what modern lacks may be at most, as reads by strategy see it; -1 while that isn't known.")),
      waiting_(gauge(metrics, "crossfade_read_marks_waiting",
                     "Marks in legacy's WAL that modern isn't known to have applied.")),
      there_(gauge(metrics, "crossfade_read_follower_up", "1: modern answers, and reads may go there.")),
      marks_(prometheus::BuildCounter()
                 .Name("crossfade_read_marks_total")
                 .Help("Marks written to legacy's WAL to learn how far modern is behind")
                 .Register(metrics)
                 .Add({})) {
    lag_.Set(-1);
    view_.on_wanted([this] { changed_.notify_all(); });
}

void reading_watch::start() {
    marks_thread_ = std::jthread{[this](const std::stop_token& stopping) { make_marks(stopping); }};
    listens_thread_ = std::jthread{[this](const std::stop_token& stopping) { listen(stopping); }};
}

void reading_watch::stop() {
    for (auto* each : {&marks_thread_, &listens_thread_}) each->request_stop();
    for (auto* each : {&marks_thread_, &listens_thread_})
        if (each->joinable()) each->join();
}

milliseconds reading_watch::interval() const {
    return std::clamp(in_force_()->config.proxy.max_read_lag / marks_within_lag, shortest_interval, longest_interval);
}

bool reading_watch::pause(const std::stop_token& stopping, milliseconds time, bool until_wanted) {
    std::unique_lock hold{mutex_};
    changed_.wait_for(hold, stopping, time, [&] { return until_wanted && view_.wanted(); });
    return !stopping.stop_requested();
}

void reading_watch::make_marks(const std::stop_token& stopping) {
    std::optional<pgclient::connection> legacy;
    complaint about{"marks can't be written to legacy"};
    retry::backoff again{50ms, 1s};
    clock::time_point looked{};
    while (!stopping.stop_requested()) {
        if (!wanted_by_flags()) {
            legacy.reset();
            if (!pause(stopping, look_up_idle, false)) return;
            continue;
        }
        if (!legacy) {
            auto opened = pgclient::connection::open(in_force_()->config.legacy.dsn, as_reader());
            if (!opened) {
                about.say(opened.error());
                if (!pause(stopping, again.next(), false)) return;
                continue;
            }
            legacy.emplace(std::move(*opened));
            looked = {};
            about.settled();
            again.reset();
        }
        if (clock::now() - looked >= look_at_tables_every) {
            looked = clock::now();
            if (!look_at_names(*legacy, settings::side::legacy) || !look_for_more(*legacy) ||
                !look_at_rights(*legacy, settings::side::legacy) || !look_at_shapes(*legacy, settings::side::legacy)) {
                legacy.reset();
                continue;
            }
        }
        if (!mark(*legacy)) legacy.reset();
        // Who wants news all the time gets them as often as that.
        if (!pause(stopping, shortest_interval, false) || !pause(stopping, interval() - shortest_interval, true))
            return;
    }
}

bool reading_watch::mark(pgclient::connection& legacy) {
    const auto one = marker_.next();
    view_.take_wanted();
    // From before it was asked for: what was committed by then is in front of it.
    const auto asked = clock::now();
    if (!legacy.exec("SELECT " + store::ask_to_be_told_sql(one))) return false;
    marks_.Increment();
    const std::lock_guard alone{mutex_};
    book_.made(asked, one.number);
    view_.set_fresh_to(book_.fresh_to());
    return true;
}

void reading_watch::lose_modern() {
    view_.set_there(false);
    there_.Set(0);
    amiss_ = false;
    news_.reset();
    const std::lock_guard alone{mutex_};
    book_.forget();
    view_.set_fresh_to(std::nullopt);
}

void reading_watch::listen(const std::stop_token& stopping) {
    std::optional<pgclient::connection> modern;
    complaint about{"modern doesn't answer"};
    retry::backoff again{50ms, 1s};
    clock::time_point looked{};
    while (!stopping.stop_requested()) {
        if (!wanted_by_flags()) {
            if (modern) lose_modern();
            modern.reset();
            note_lag();
            if (!pause(stopping, look_up_idle, false)) return;
            continue;
        }
        if (!modern) {
            auto opened = pgclient::connection::open(in_force_()->config.modern.dsn, as_reader());
            auto listening =
                opened ? opened->exec("LISTEN \"" + std::string{store::applied_channel} + '"') : opened.error();
            if (!listening) {
                about.say(listening.error());
                lose_modern();
                note_lag();
                if (!pause(stopping, again.next(), false)) return;
                continue;
            }
            modern.emplace(std::move(*opened));
            looked = {};
        }
        bool well = true;
        if (clock::now() - looked >= (amiss_ ? look_again_after : milliseconds{look_at_tables_every})) {
            looked = clock::now();
            // The tables last: of one that is live by then it is known whether it is fit.
            well = look_at_names(*modern, settings::side::modern) && look_at_rights(*modern, settings::side::modern) &&
                   look_at_shapes(*modern, settings::side::modern) && look_at_tables(*modern);
            if (well) view_.set_looked(looked);
            amiss_ = amiss_ && !well;
            take_news();
        }
        well = well && hear(*modern);
        note_lag();
        if (well) {
            view_.set_there(true);
            there_.Set(1);
            about.settled();
            again.reset();
            continue;
        }
        lose_modern();
        modern.reset();
        if (!pause(stopping, again.next(), false)) return;
    }
}

bool reading_watch::hear(pgclient::connection& modern) {
    const auto told = pgclient::notified(modern, look_up);
    if (!told) return false;
    const auto settings = in_force_();
    for (const auto& each : *told) {
        const auto& stream = settings->config.stream.name;
        if (const auto one = store::read_applied(each, stream); one && marker_.has_made(*one)) news_ = one->number;
        amiss_ = amiss_ || store::reads_amiss(each, stream);
    }
    take_news();
    return true;
}

void reading_watch::take_news() {
    if (amiss_ || !news_) return;
    const std::lock_guard alone{mutex_};
    book_.applied(*news_);
    view_.set_fresh_to(book_.fresh_to());
    news_.reset();
}

bool reading_watch::look_at_tables(pgclient::connection& modern) {
    const auto rows = modern.exec(live_tables, {in_force_()->config.stream.name});
    if (!rows) {
        // Before the first `crossfade init` nothing is live.
        view_.set_tables({});
        return rows.error().sqlstate == "42P01" || rows.error().sqlstate == "3F000";
    }
    table_states now;
    for (int row = 0; row < rows->size(); ++row)
        now.emplace(rows->text(row, 0), number_of(rows->text(row, 1)).value_or(1));
    view_.set_tables(std::move(now));
    return true;
}

bool reading_watch::look_at_names(pgclient::connection& at, settings::side which) {
    const auto rows = at.exec(names);
    if (!rows) return false;
    shared_names now;
    relation_names views;
    for (int row = 0; row < rows->size(); ++row) (rows->null(row, 1) ? now : views).emplace(rows->text(row, 0));
    view_.set_shared(which, std::move(now));
    if (which == settings::side::modern) view_.set_views(std::move(views));
    return true;
}

bool reading_watch::look_for_more(pgclient::connection& legacy) {
    pgwire::array_literal live;
    const auto tables = view_.tables();
    for (const auto& [name, drift] : *tables) live.add(name);
    const auto rows = legacy.exec(anything_else, {live.take()});
    if (!rows) return false;
    // Others by now: there is another look to come.
    if (view_.tables() == tables) view_.set_whole(!rows->boolean(0, 0));
    return true;
}

bool reading_watch::look_at_rights(pgclient::connection& at, settings::side which) {
    auto found = store::load_rights(at);
    if (!found) return false;
    const std::lock_guard alone{mutex_};
    rights_[static_cast<std::size_t>(which)] = std::move(*found);
    const auto& of_legacy = rights_[static_cast<std::size_t>(settings::side::legacy)];
    relation_names unlike;
    for (const auto& [name, digest] : rights_[static_cast<std::size_t>(settings::side::modern)]) {
        const auto other = of_legacy.find(name);
        if (other == of_legacy.end() || other->second != digest) unlike.insert(name);
    }
    view_.set_unlike(std::move(unlike));
    return true;
}

bool reading_watch::look_at_shapes(pgclient::connection& at, settings::side which) {
    auto found = load_shapes(at);
    if (!found) return false;
    const std::lock_guard alone{mutex_};
    shapes_[static_cast<std::size_t>(which)] = std::move(*found);
    const auto& of_legacy = shapes_[static_cast<std::size_t>(settings::side::legacy)];
    relation_names misshapen;
    for (const auto& [name, shape] : shapes_[static_cast<std::size_t>(settings::side::modern)]) {
        const auto other = of_legacy.find(name);
        if (other == of_legacy.end() || other->second != shape || shape.has_inheritors) misshapen.insert(name);
    }
    if (!of_legacy.empty()) say(misshapen);
    view_.set_misshapen(std::move(misshapen));
    return true;
}

// Of those that would be read on modern otherwise; with the lock.
void reading_watch::say(const relation_names& misshapen) {
    const auto live = view_.tables();
    relation_names now;
    std::ranges::copy_if(misshapen, std::inserter(now, now.end()),
                         [&](const auto& name) { return live->contains(name); });
    std::size_t news = 0;
    for (const auto& name : now)
        if (!said_misshapen_.contains(name) && ++news <= most_said)
            spdlog::warn("{} is read from legacy alone: its columns differ on modern, or tables inherit from it", name);
    if (news > most_said) spdlog::warn("and {} further tables are, too", news - most_said);
    said_misshapen_ = std::move(now);
}

void reading_watch::note_lag() {
    const std::lock_guard alone{mutex_};
    const auto fresh = book_.fresh_to();
    lag_.Set(fresh ? std::chrono::duration<double>(clock::now() - *fresh).count() : -1);
    waiting_.Set(static_cast<double>(book_.waiting()));
}

}  // namespace crossfade::proxy::reading
