#include "proxy/mirror/keeper.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "lib/store/catalog_pace.hpp"
#include "lib/store/receipts.hpp"
#include "proxy/mirror/catalog_reader.hpp"
#include "proxy/mirror/outfit.hpp"

namespace crossfade::proxy::mirror {
namespace {

using namespace std::chrono_literals;

constexpr auto look_interval = 2s;  // at the catalogs, if no DDL is seen
static_assert(4 * look_interval < store::ddl_is_known_within);
constexpr auto share_of_time = 2;    // at most half of the time is spent on that
constexpr auto rest_of_table = 10s;  // whose rows the follower has refused
constexpr auto say_again = 60s;      // why rows were refused, each reason by itself
constexpr std::size_t links_at_first = 2;
constexpr std::size_t share_left = 4;  // of the connections, for those who commit
constexpr unsigned most_refused_in_a_row = 8;
constexpr auto first_rest = 250ms;
constexpr auto longest_rest = 4s;
// Receipts that nobody has judged yet. Where crossfade-cdc is away for long they would only grow.
constexpr std::int64_t most_receipts = 10000;

prometheus::Counter& counter(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(in).Add({});
}

// But for the statements, which are made of the rest.
bool same(const table_facts& one, const table_facts& other) {
    const auto all = [](const table_facts& of) {
        return std::tie(of.name, of.partitions, of.columns, of.plain, of.updates, of.removes, of.zoned_key,
                        of.bytes_key, of.tied, of.readers);
    };
    return all(one) == all(other);
}

}  // namespace

std::string_view to_string(leave_reason why) {
    switch (why) {
        case leave_reason::statement:
            return "statement";
        case leave_reason::table:
            return "table";
        case leave_reason::ties:
            return "ties";
        case leave_reason::transaction:
            return "transaction";
        case leave_reason::settings:
            return "settings";
        case leave_reason::too_large:
            return "too_large";
        case leave_reason::no_follower:
            return "no_follower";
        case leave_reason::refused:
            return "refused";
    }
    return "";
}

keeper::keeper(std::function<settings::snapshot()> in_force, prometheus::Registry& metrics)
    : in_force_(std::move(in_force)),
      mirrored_(counter(metrics, "crossfade_mirror_mirrored_total",
                        "Transactions whose rows the proxy wrote to modern itself")),
      taken_back_(counter(metrics, "crossfade_mirror_taken_back_total",
                          "Transactions whose rows the proxy had sent to modern before their end, and undone there")),
      waited_(counter(metrics, "crossfade_mirror_connection_waits_total",
                      "Transactions that waited for a connection to modern, as on_mirror_failure is fail")),
      open_(gauge(metrics, "crossfade_mirror_connections", "Connections to modern for rows that are mirrored")),
      most_(gauge(metrics, "crossfade_mirror_connections_limit", "How many there may be: proxy.mirror_connections")),
      tables_known_(
          gauge(metrics, "crossfade_mirror_tables", "Tables whose rows the proxy can write to modern itself")),
      tables_resting_(
          gauge(metrics, "crossfade_mirror_resting_tables",
                "Of these, the ones that are left to the stream for a while, as modern refuses their rows")) {
    auto& left = prometheus::BuildCounter()
                     .Name("crossfade_mirror_streamed_total")
                     .Help("Transactions under mirror that were left to the stream, by reason")
                     .Register(metrics);
    std::ranges::transform(leave_reasons, streamed_.begin(), [&](leave_reason why) {
        return &left.Add({{"reason", std::string{to_string(why)}}});
    });
    auto& failed = prometheus::BuildCounter()
                       .Name("crossfade_mirror_failed_total")
                       .Help("Transactions that were rolled back by on_mirror_failure: fail, by reason")
                       .Register(metrics);
    failed_.fill(nullptr);
    for (const auto why : failing_reasons)
        failed_[static_cast<std::size_t>(why)] = &failed.Add({{"reason", std::string{to_string(why)}}});
    thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
}

void keeper::stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
    publish(nullptr);
    const std::lock_guard hold{mutex_};
    idle_.clear();
}

void keeper::doubts::add(const std::vector<model::table_name>& at) {
    all = all || at.empty() || of.size() + at.size() > most_doubts;
    of.insert(of.end(), at.begin(), at.end());
    if (all) of.clear();
}

// Of another schema's, too: a name without one may be its by now.
bool keeper::doubts::about(const table_facts& table) const {
    return all || std::ranges::any_of(of, [&](const auto& each) {
               const auto is_it = [&](const auto& one) { return one.name.name == each.name; };
               return is_it(table) || std::ranges::any_of(table.partitions, is_it);
           });
}

bool keeper::doubts::about(const model::table_name& table) const {
    return std::ranges::any_of(of, [&](const auto& each) { return each.name == table.name; });
}

std::shared_ptr<const write_targets> keeper::doubts::but_for(std::shared_ptr<const write_targets> known) const {
    if (all || known == nullptr) return nullptr;
    const auto doubted = [this](const auto& each) { return about(each.first) || about(each.second); };
    if (std::ranges::none_of(*known, doubted)) return known;
    auto left = *known;
    std::erase_if(left, doubted);
    return std::make_shared<const write_targets>(std::move(left));
}

void keeper::look_again(const std::vector<model::table_name>& at) {
    {
        const std::lock_guard hold{mutex_};
        look_again_ = true;
        doubted_.add(at);
        doubted_newly_.add(at);
        doubts now;
        now.add(at);
        std::atomic_store(&targets_, now.but_for(targets()));
        const bool matters =
            std::ranges::any_of(known_, [this](const auto& each) { return doubted_.about(*each.second); });
        if (matters && tables() != nullptr) publish_known();
    }
    changed_.notify_all();
}

void keeper::publish_known() {
    if (doubted_.all) return publish(nullptr);
    auto trusted = known_;
    std::erase_if(trusted, [this](const auto& each) { return doubted_.about(*each.second); });
    publish(std::make_shared<const catalog>(trusted, resting()));
}

// With the lock.
catalog::rests_until keeper::resting() const {
    catalog::rests_until made;
    for (const auto& [oid, of] : troubled_)
        if (of.until > clock::now()) made.emplace(oid, of.until);
    return made;
}

// With the lock. What is wrong with one table is no reason to leave others' rows to the stream.
bool keeper::note_refused(const follower_link& by) {
    const auto* const table = by.stumbled_over();
    if (table == nullptr) return false;
    const bool by_kind = by.at_fault() != nullptr;
    auto& of = troubled_[table->oid];
    if (of.until > clock::now() || (!by_kind && ++of.in_a_row < most_refused_in_a_row)) return false;
    // Once it has rested, the next one alone decides.
    of.rest = by_kind ? rest_of_table : std::clamp<std::chrono::milliseconds>(2 * of.rest, first_rest, longest_rest);
    of.until = clock::now() + of.rest;
    if (by_kind) look_again_ = true;
    if (tables() != nullptr) publish_known();
    return is_news(model::to_string(table->name));
}

// With the lock.
bool keeper::is_news(const std::string& of) {
    auto& said = said_of_[of];
    const bool news = said < clock::now() - say_again;
    if (news) said = clock::now();
    return news;
}

// With the lock.
void keeper::note_taken(const follower_link& by) {
    bool rested = false;
    for (const auto oid : by.tables()) {
        const auto found = troubled_.find(oid);
        if (found == troubled_.end()) continue;
        rested = rested || found->second.until > clock::now();
        troubled_.erase(found);
    }
    if (rested && tables() != nullptr) publish_known();
}

std::unique_ptr<follower_link> keeper::take() {
    const std::lock_guard hold{mutex_};
    return take(0);
}

std::unique_ptr<follower_link> keeper::take_spare() {
    const std::lock_guard hold{mutex_};
    return take(made_ / share_left);
}

// With the lock.
std::unique_ptr<follower_link> keeper::take(std::size_t leaving) {
    if (silent_ || clock::now() < rests_until_) return nullptr;
    while (idle_.size() > leaving) {
        auto link = std::move(idle_.back());
        idle_.pop_back();
        // Else its transaction would be refused for what has nothing to do with it.
        if (link->lives()) return link;
        --made_;
    }
    more_wanted_ = true;
    changed_.notify_all();
    return nullptr;
}

void keeper::note_silence() {
    bool news = false;
    {
        const std::lock_guard hold{mutex_};
        silent_newly_ = look_again_ = true;
        news = !silent_.exchange(true) && is_news("silence");
    }
    changed_.notify_all();
    if (news) spdlog::warn("mirror: modern has not answered within proxy.mirror_timeout: the stream brings the rows");
}

void keeper::give_back(std::unique_ptr<follower_link> link) {
    const std::lock_guard hold{mutex_};
    refused_in_a_row_ = 0;
    refused_last_ = 0;
    rest_ = {};
    if (!troubled_.empty()) note_taken(*link);
    idle_.push_back(std::move(link));
}

void keeper::take_back(std::unique_ptr<follower_link> link) {
    bool news = false;
    std::string rests;
    {
        const std::lock_guard hold{mutex_};
        // Which says nothing of the stream, or of modern.
        const bool fault = !link->why().sqlstate.empty() && !link->lacks_ties();
        news = fault && is_news(link->why().sqlstate);
        // One table's are its own matter.
        const auto* const table = link->stumbled_over();
        const auto oid = table == nullptr ? 0 : table->oid;
        const bool counts = fault && (oid == 0 || oid != std::exchange(refused_last_, oid));
        if (counts && ++refused_in_a_row_ >= most_refused_in_a_row) {
            refused_in_a_row_ = 0;
            rest_ = std::clamp<std::chrono::milliseconds>(2 * rest_, first_rest, longest_rest);
            rests_until_ = clock::now() + rest_;
        }
        if (fault && note_refused(*link)) rests = model::to_string(table->name);
    }
    if (news) spdlog::warn("mirror: a transaction is left to the stream: {}", pgclient::to_string(link->why()));
    if (!rests.empty())
        spdlog::warn("mirror: rows of {} are left to the stream for a while: {}", rests,
                     pgclient::to_string(link->why()));
    const bool whole = link->roll_back();
    const std::lock_guard hold{mutex_};
    if (whole) {
        // The last to be taken: it may be waiting for a row.
        idle_.insert(idle_.begin(), std::move(link));
    } else {
        --made_;
        more_wanted_ = true;
    }
    changed_.notify_all();
}

bool keeper::wanted() const {
    const auto now = config();
    return now->config.flags.has(settings::write_strategy::mirror) && now->config.proxy.mirror_connections > 0 &&
           !now->config.modern.dsn.empty();
}

void keeper::run(const std::stop_token& stopping) {
    while (!stopping.stop_requested()) {
        const auto began = clock::now();
        {
            const std::lock_guard hold{mutex_};
            look_again_ = silent_newly_ = false;
            doubted_newly_ = {};
        }
        read_targets();
        if (wanted()) {
            read_catalogs();
            drop_ended();
            if (tables() != nullptr) open_links(stopping);
        } else {
            if (tables() != nullptr) publish(nullptr);
            away_ = false;
            const std::lock_guard hold{mutex_};
            silent_ = false;
            made_ -= idle_.size();
            idle_.clear();
        }
        const auto rests_until = clock::now() + (share_of_time - 1) * (clock::now() - began);
        std::unique_lock hold{mutex_};
        const auto most = config()->config.proxy.mirror_connections;
        most_.Set(most);
        open_.Set(static_cast<double>(made_));
        tables_resting_.Set(static_cast<double>(resting().size()));
        changed_.wait_for(hold, stopping, look_interval, [&] {
            return look_again_ || (more_wanted_ && made_ < most && tables() != nullptr && clock::now() >= opens_at_);
        });
        if (look_again_) changed_.wait_until(hold, stopping, rests_until, [] { return false; });
    }
}

void keeper::say(std::string what) {
    if (what == said_) return;
    said_ = std::move(what);
    if (!said_.empty()) spdlog::warn("mirror: rows come by the stream alone: {}", said_);
}

void keeper::publish(std::shared_ptr<const catalog> made) {
    tables_known_.Set(made == nullptr ? 0 : static_cast<double>(made->size()));
    std::atomic_store(&tables_, std::move(made));
}

// Where all is mirrored alike it makes no difference.
bool keeper::wants_targets() const {
    const auto now = config();
    const auto& scopes = now->config.flags;
    return scopes.has(settings::write_strategy::mirror) && !scopes.groups().empty();
}

// What is known stays while legacy can't be asked: no table becomes a view without DDL, and what sessions see of that
// counts at once.
void keeper::read_targets() {
    if (!wants_targets()) return std::atomic_store(&targets_, std::shared_ptr<const write_targets>{});
    if (!legacy_) {
        if (auto opened = pgclient::connection::open(config()->config.legacy.dsn, as_mirror()))
            legacy_.emplace(std::move(*opened));
        else
            return miss_targets(opened.error());
    }
    auto read = read_write_targets(*legacy_);
    if (!read) {
        legacy_.reset();
        return miss_targets(read.error());
    }
    no_targets_.clear();
    const std::lock_guard hold{mutex_};
    const auto before = targets();
    if (before != nullptr && *before == *read && doubted_newly_.none()) return;
    std::atomic_store(&targets_, doubted_newly_.but_for(std::make_shared<const write_targets>(std::move(*read))));
}

void keeper::miss_targets(const pgclient::failure& why) {
    if (auto said = pgclient::to_string(why); said != std::exchange(no_targets_, said))
        spdlog::warn("mirror: which tables are written by which names isn't known anew: {}", said);
}

void keeper::read_catalogs() {
    auto read = read_tables();
    away_ = !read.has_value();
    if (!read) {
        say(pgclient::to_string(read.error()));
        legacy_.reset();
        modern_.reset();
        return publish(nullptr);
    }
    std::map<std::uint32_t, std::shared_ptr<const table_facts>> known;
    const std::lock_guard hold{mutex_};
    silent_ = silent_newly_;
    for (auto& each : *read) {
        const auto before = known_.find(each.oid);
        if (before != known_.end() && same(*before->second, each)) {
            known.insert(*before);
            continue;
        }
        write_row_sql(each, ++serial_);
        const auto oid = each.oid;
        known.emplace(oid, std::make_shared<const table_facts>(std::move(each)));
    }
    const auto before = std::exchange(doubted_, doubted_newly_);  // of which what was read may be too old
    if (tables() != nullptr && known == known_ && before.none() && doubted_.none()) return;
    known_ = std::move(known);
    std::erase_if(troubled_, [this](const auto& each) { return !known_.contains(each.first); });
    publish_known();
}

pgclient::result<std::vector<table_facts>> keeper::read_tables() {
    const auto settings = config();
    for (const auto& [to, dsn] :
         {std::pair{&legacy_, &settings->config.legacy.dsn}, std::pair{&modern_, &settings->config.modern.dsn}}) {
        if (*to) continue;
        auto opened = pgclient::connection::open(*dsn, as_mirror());
        if (!opened) return opened.error();
        to->emplace(std::move(*opened));
        if (to != &modern_) continue;
        replica_role_ = (*to)->exec("SET session_replication_role = replica").has_value();
        const auto tracked = (*to)->exec("SELECT current_setting('track_commit_timestamp') = 'on'");
        if (!tracked) return tracked.error();
        // Of a stream that goes both ways the other one would bring it back to legacy.
        needs_origin_ = tracked->boolean(0, 0) || settings->config.stream.both_ways;
    }
    const auto& stream = settings->config.stream;
    const auto left =
        modern_->exec(std::string{store::count_receipts_sql}, {stream.name, std::to_string(most_receipts)});
    if (!left) return left.error();
    if (left->integer(0, 0).value_or(0) >= most_receipts)
        return pgclient::failure{"54000", "crossfade-cdc is away, and too many receipts wait for it", {}, {}, {}};
    if (left->integer(0, 1).value_or(0) >= store::receipts_worth_clearing) {
        if (const auto cleared = modern_->exec(std::string{store::clear_receipts_sql}); !cleared)
            return cleared.error();
    }
    auto read = mirror::read_tables(*legacy_, *modern_, stream.publication(), stream.name, replica_role_);
    if (read) say({});
    return read;
}

// So that they are replaced before somebody needs them.
void keeper::drop_ended() {
    const std::lock_guard hold{mutex_};
    made_ -= std::erase_if(idle_, [](const auto& each) { return !each->lives(); });
}

void keeper::open_links(const std::stop_token& stopping) {
    for (bool first = true; !stopping.stop_requested(); first = false) {
        const auto settings = config();
        {
            const std::lock_guard hold{mutex_};
            const bool wanted = more_wanted_ || made_ < links_at_first;
            if (!wanted || made_ >= settings->config.proxy.mirror_connections || clock::now() < opens_at_) return;
            // One more than was missed, at a time.
            if (!first && idle_.size() >= links_at_first) {
                more_wanted_ = false;
                return;
            }
        }
        follower_link::options how;
        how.dsn = settings->config.modern.dsn;
        how.stream = settings->config.stream.name;
        how.timeout = settings->config.proxy.mirror_timeout;
        how.needs_origin = needs_origin_;
        auto opened = follower_link::open(how);
        const std::lock_guard hold{mutex_};
        if (!opened) {
            opens_at_ = clock::now() + look_interval;
            if (const auto why = pgclient::to_string(opened.error()); why != std::exchange(no_more_, why))
                spdlog::warn("mirror: {} connections to modern, and no more: {}", made_, why);
            return;
        }
        no_more_.clear();
        ++made_;
        idle_.push_back(std::move(*opened));
        open_.Set(static_cast<double>(made_));
    }
}

}  // namespace crossfade::proxy::mirror
