#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "lib/pgwire/session_tracker.hpp"
#include "proxy/frontend/known_statements.hpp"
#include "proxy/frontend/repeatable_start.hpp"
#include "proxy/portrait/notebook.hpp"
#include "proxy/portrait/portrait.hpp"
#include "proxy/strategy/footprint.hpp"

namespace crossfade::proxy::frontend {

// Shows a session whose tables have more than one authority where to go (docs/adr/0028): looks at what its client sends
// before it goes on, and says when the session has to be on the other side first. Changes nothing and knows no sockets.
// For the thread of the session's loop.
class usher {
  public:
    // Of longer texts only the beginning is looked at; and so much is held back to see what a batch is about.
    static constexpr std::size_t longest_text = std::size_t{8} << 10;
    static constexpr std::size_t longest_wait = std::size_t{8} << 10;

    using acquaintance = known_statements::acquaintance;
    usher(portrait::notebook& notes, acquaintance with_the_session) : notes_(notes), prepared_(with_the_session) {}
    // By the configuration of now, where nothing is under way.
    void take(strategy::group_sides sides) { sides_.emplace(std::move(sides)); }

    struct step {
        enum class action {
            pass,      // `bytes` of the client's may go on; 0: more has to come before that is known
            wait,      // until all is answered
            go,        // to the other side first; nothing is under way
            go_again,  // likewise, and the transaction begins there once more: start()
            learn,     // the database is to be asked what is prepared: learn()
            refuse,    // `text` is to be sent as a simple query in the place of `bytes` of the client's
        };
        action what = action::pass;
        std::size_t bytes = 0;
        std::string text{};
        bool replaces_unnamed = false;  // what comes next does, the statement without a name
        bool uses_unnamed = false;      // or needs the one that there is
    };
    struct circumstances {
        const pgwire::session_tracker& where;
        sql::lexing lexing;
        settings::side here;
        std::chrono::steady_clock::time_point at = std::chrono::steady_clock::now();
    };
    // `chunk` begins where the last one's passed() ended.
    step look(std::string_view chunk, const circumstances& now);
    // So much of it has gone on.
    void passed(std::size_t bytes) { looked_ -= std::min(looked_, bytes); }
    // What was to be refused was.
    void refused();
    // Whether the last look said step::wait; once.
    bool takes_to_waiting() { return std::exchange(waits_, false); }

    // What the transaction has had so far.
    const repeatable_start& start() const { return start_; }
    void server_said(char type);
    // It could not go there: `why`, for its client.
    void must_stay(std::string why, std::chrono::steady_clock::time_point at);
    void learn(const std::map<std::string, portrait::prepared_statement>& prepared) {
        prepared_.learn(notes_, prepared);
    }

    std::size_t kept_bytes() const { return prepared_.kept_bytes() + start_.kept_bytes() + stays_.capacity(); }

  private:
    // One of the client's messages, as far as it matters here.
    struct message {
        char type = 0;
        std::size_t size = 0;
        bool asks = false;  // something is carried out: a Query, a Bind
        strategy::footprint needs{};
        std::shared_ptr<const void> keeps{};           // what `needs` leads to
        std::shared_ptr<const sql::statement> only{};  // of a text with one
    };
    struct walk;

    std::optional<message> read(std::string_view from, sql::lexing how);
    strategy::footprint of_text(std::string_view text, bool whole, sql::lexing how, message& into);
    strategy::footprint of_prepared(std::string_view name, message& into) const;
    strategy::prepared_lookup by_name() const;

    step go_on(walk& at) const;
    std::optional<step> decide(walk& at, const message& it, strategy::fit how);
    std::optional<step> refuse(walk& at, const message& it, strategy::fit how);
    void commit(walk& at, std::size_t up_to);
    void skip(walk& at);
    void control(const strategy::footprint& it);
    std::string raising(const message& it, strategy::fit how, const circumstances& now) const;

    portrait::notebook& notes_;
    known_statements prepared_;
    std::optional<strategy::group_sides> sides_;

    std::size_t looked_ = 0;  // bytes in front of what comes next: they were looked at, and may go on
    bool waits_ = false;
    // Of the transaction under way, or the batch.
    bool bound_ = false;  // it can't be left for the other side
    bool batch_ = false;  // extended messages have gone on, and no Sync behind them
    bool open_ = false;   // by what was said, a transaction that doesn't end with its message
    repeatable_start start_;
    std::string stays_;
    std::chrono::steady_clock::time_point tries_again_{};
};

}  // namespace crossfade::proxy::frontend
