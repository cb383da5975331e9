#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/pgwire/session_status.hpp"
#include "proxy/console/access.hpp"
#include "proxy/console/postgres_manners.hpp"
#include "proxy/console/provider.hpp"
#include "proxy/console/table.hpp"

namespace crossfade::proxy::console {

// One console over PostgreSQL's protocol, simple and extended, without a socket: it says what it wants next, and who
// has the socket does it. Begins behind AuthenticationOk.
//
//     for (;;) switch (session.next()) {
//         case step::write: … session.sent(how_much_of(session.output())); break;
//         case step::ask:   provider.carry_out(session.take_request(), …); break;
//         case step::wait:  … session.take_answer(…); break;
//         case step::read:  … session.feed(bytes); break;
//         case step::close: return;
//     }
//
// Whatever the client sends, nothing throws, and memory is bounded: a message by `longest_message`, what is read ahead
// by `most_input`, output that waits by twice `output_mark` and a row, statements and portals by number.
class console_session {
  public:
    static constexpr std::size_t longest_message = std::size_t{64} << 10;  // body
    static constexpr std::size_t most_input = 2 * longest_message + 5;
    static constexpr std::size_t output_mark = std::size_t{64} << 10;  // beyond it nothing more is begun
    static constexpr std::size_t most_statements = 256;
    static constexpr std::size_t most_portals = 16;

    // `max_rows`: of one SHOW. `key`: for cancel requests; without one the client is told none.
    console_session(party who, role as, std::size_t max_rows, const std::optional<pgwire::backend_key_data>& key = {});

    enum class step {
        write,  // output() to the client
        ask,    // take_request(), and have it carried out
        wait,   // for its answer
        read,   // bytes of the client; at its end, give up the session
        close   // all is said
    };
    step next() const;

    std::string_view output() const { return output_; }
    void sent(std::size_t bytes);  // that many of output() are on their way

    // At step::ask, once each time.
    request take_request();
    // At step::wait.
    void take_answer(answer what);

    // At step::read: at most `longest_message` bytes.
    void feed(std::string_view bytes);

  private:
    // A command under way, or a portal.
    struct run {
        std::optional<command> what;  // nothing: an empty query
        std::vector<format> formats;
        bool described = true;  // false: a RowDescription is due, as the simple protocol wants it
        bool answered = false;
        std::vector<row> rows;
        std::size_t next_row = 0;
        std::size_t left_out = 0;
        std::vector<std::string> notices;
    };
    struct complaint {
        std::string_view sqlstate;
        std::string message;
        std::string detail = {};
        std::string hint = {};
        std::size_t position = 0;
    };

    void advance();
    bool take_message();
    void on_message(char type, std::string_view body);
    void on_query(std::string_view body);
    void on_parse(std::string_view body);
    void on_bind(std::string_view body);
    void on_describe(std::string_view body);
    void on_execute(std::string_view body);
    void on_close(std::string_view body);
    void on_sync();

    // Null when there is none: the client has been told.
    const std::optional<command>* prepared_as(std::string_view name);
    std::shared_ptr<run> bound_as(std::string_view name);

    void begin_next();
    void begin();
    void answer_here(std::vector<row> rows);
    void go_on();
    void finish();
    void fail(const complaint& why);
    void end_with(const complaint& why);
    void malformed();
    void refuse(const syntax_fault& why, std::string_view sql);
    void ready();
    void notice(const std::string& message);
    void describe(const std::optional<command>& what, const std::vector<format>& formats);

    party who_;
    role as_;
    std::size_t max_rows_;

    std::string input_;
    std::size_t consumed_ = 0;
    std::string output_;
    bool in_transaction_ = false;
    bool skipping_ = false;  // to the next Sync
    bool finished_ = false;

    std::map<std::string, std::optional<command>, std::less<>> statements_;
    std::map<std::string, std::shared_ptr<run>, std::less<>> portals_;

    std::deque<command> queued_;  // of a simple query
    bool simple_ = false;         // whether current_ is of one
    std::shared_ptr<run> current_;
    std::string current_portal_;
    std::size_t rows_wanted_ = 0;  // of this Execute; 0: all
    std::size_t rows_given_ = 0;
    std::optional<request> request_;
    bool waiting_ = false;
};

}  // namespace crossfade::proxy::console
