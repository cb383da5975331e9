#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/pgwire/session_tracker.hpp"
#include "proxy/frontend/known_statements.hpp"
#include "proxy/frontend/repeatable_start.hpp"
#include "proxy/frontend/usher.hpp"
#include "proxy/portrait/notebook.hpp"
#include "proxy/reading/follower_view.hpp"
#include "proxy/strategy/reading.hpp"

namespace crossfade::proxy::frontend {

// Shows a session whose reads go by strategy where to go (docs/adr/0029): to modern for what only reads and may be
// answered there, home to legacy for all else. Looks at what its client sends, a unit at a time: a Query, or all up to
// a Sync. Changes nothing and knows no sockets. For the thread of the session's loop.
class guide {
  public:
    // Whoever reads by strategy is legacy's.
    static constexpr auto home = settings::side::legacy;
    // Of longer texts nothing is known; and so much is held back to see what a batch is about.
    static constexpr std::size_t longest_text = std::size_t{8} << 10;
    // Of a unit that is to be said again elsewhere, and of an answer that is held back until it is known to be one.
    static constexpr std::size_t longest_unit = std::size_t{16} << 10;
    static constexpr std::size_t longest_held = std::size_t{8} << 10;

    using instant = std::chrono::steady_clock::time_point;
    using step = usher::step;

    guide(portrait::notebook& notes, reading::follower_view& view, known_statements::acquaintance with_the_session)
        : notes_(notes), view_(view), prepared_(with_the_session) {}
    // By the configuration of now, where nothing is under way.
    void take(settings::snapshot flags, strategy::session_facts session);

    // `chunk` begins where the last one's passed() ended. step::refuse and step::go_again: as the usher's.
    step look(std::string_view chunk, const usher::circumstances& now);
    void passed(std::size_t bytes) { looked_ -= std::min(looked_, bytes); }
    bool takes_to_waiting() { return std::exchange(waits_, false); }
    void refused() { stray_tried_ = false; }
    // Where the read was to be answered that has gone on since this was last asked.
    std::optional<strategy::read_place> take_read() { return std::exchange(read_, std::nullopt); }

    // Whether the session is, as far as anybody knows, the same on both connections.
    bool alike() const { return alike_; }
    void became_alike();
    // It could not go; who waits for it need not any more.
    void must_stay(instant at);
    void learn(const std::map<std::string, portrait::prepared_statement>& prepared) {
        prepared_.learn(notes_, prepared);
    }
    const repeatable_start& start() const { return start_; }

    void server_said(char type);
    // All is answered; `idle`: and no transaction is open.
    void settled(bool idle, instant at);
    // What the session's transaction has written is on the follower before its client is answered, or is nothing.
    void follower_has_it() { brought_ = true; }

    // What modern answers to the unit under way, all of it up to now, none of which has gone on.
    enum class reply {
        good,  // it may go on
        more,  // more of it has to come before that is known
        bad,   // an error that legacy may not have: say_again
    };
    reply weigh(std::string_view answer);
    // Whether nothing of the answer has gone on to the client, so that the unit may be said to legacy instead.
    bool may_say_again() const { return unheard_ && !unit_.empty(); }
    const std::string& unit() const { return unit_; }
    // It was: what modern has refused may write.
    void said_again() { wrote_ = true; }
    // Whether it stands outside of transactions.
    bool stands_alone() const { return alone_; }

    std::size_t kept_bytes() const {
        return prepared_.kept_bytes() + start_.kept_bytes() + unit_.capacity() + targets_.size() * 96;
    }

  private:
    struct request;

    request read_request(std::string_view chunk, const usher::circumstances& now);
    bool read_message(std::string_view from, std::size_t size, sql::lexing how, request& into);
    void read_text(std::string_view text, bool whole, sql::lexing how, strategy::carried_out when, request& into);
    void add(request& to, const known_statements::statement& it, strategy::carried_out when);
    strategy::prepared_by_name by_name() const;

    step outside(std::string_view chunk, request& it, const usher::circumstances& now);
    step inside(std::string_view chunk, request& it, const usher::circumstances& now);
    // What a unit is to have on legacy that stands in a READ ONLY transaction on modern.
    enum class pull {
        none,
        weak,    // modern can answer it if legacy can't be had
        strong,  // modern's answer would be another one
    };
    pull pull_of(const request& it, const usher::circumstances& now);
    step stray(std::string_view chunk, const request& it, pull how, const usher::circumstances& now);
    step go_on(std::string_view chunk, const request& it, const usher::circumstances& now);
    strategy::read_place place_of(const request& it, const usher::circumstances& now);
    strategy::read_place placed(std::span<const strategy::read_target> targets, const usher::circumstances& now);
    const strategy::read_target& target_of(const sql::table_use& table);
    bool is_there(const sql::table_use& table);
    bool is_view_there(const sql::table_use& table) const;
    strategy::read_target target_named(std::string_view table) const;
    bool is_one_alone(const std::string& name) const;
    void look_at_edition();

    portrait::notebook& notes_;
    reading::follower_view& view_;
    known_statements prepared_;
    settings::snapshot flags_;
    strategy::session_facts session_;
    std::vector<std::string> schemas_;
    // Of tables by the names in texts, and of all that a transaction may read; as long as what is known is the same.
    std::map<std::string, strategy::read_target, std::less<>> targets_;
    std::vector<strategy::read_target> all_targets_;
    std::shared_ptr<const reading::table_states> tables_;
    std::shared_ptr<const reading::relation_names> views_;
    std::shared_ptr<const reading::relation_names> unlike_;
    std::shared_ptr<const reading::relation_names> misshapen_;
    std::array<std::shared_ptr<const reading::shared_names>, 2> shared_;
    std::optional<std::uint64_t> edition_;

    std::size_t looked_ = 0;  // bytes in front of what comes next: they were looked at, and may go on
    bool amid_ = false;       // they end within a unit
    bool waits_ = false;
    bool alike_ = false;
    std::optional<settings::side> decided_;  // for the unit that comes next, which has set out for it
    std::optional<strategy::read_place> read_;
    instant tries_again_{};
    std::chrono::milliseconds pause_{};

    // Since the session was idle.
    bool wrote_ = false;
    bool brought_ = false;
    bool wrote_behind_ = false;  // what was under way, so that nobody knows which of them was brought
    repeatable_start start_;
    bool stray_tried_ = false;
    std::optional<instant> last_write_;

    std::string unit_;  // on its way to modern
    bool unheard_ = false;
    bool alone_ = false;
};

}  // namespace crossfade::proxy::frontend
