#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/pgwire/session_tracker.hpp"
#include "lib/sql/understand.hpp"
#include "proxy/portrait/notebook.hpp"
#include "proxy/portrait/portrait.hpp"
#include "proxy/portrait/suspicion.hpp"

namespace crossfade::proxy::portrait {

// Listens to a session's messages for what its database won't tell: the names of the application's settings, and the
// unnamed statement. Holds `longest_heard` bytes at most beside itself. What it can't follow makes its facts unknown,
// until a RESET ALL or DISCARD ALL has gone well.
class hearing {
  public:
    // A longer text is looked through as it passes; it is not understood, and no unnamed statement is kept of it.
    static constexpr std::size_t longest_heard = 4096;
    // Settings that one session may add to the notebook.
    static constexpr unsigned most_names = 50;

    enum class since { log_in, later };
    hearing(notebook& shared, since when);

    // What goes with a session to where nobody listens, and comes back with it.
    struct memory {
        heard_facts facts{};
        sql::lexing lexing{.standard_conforming_strings = false, .ascii_is_itself = false};
    };
    hearing(notebook& shared, memory of);
    memory remembered() const { return {facts(), lexing()}; }

    // How much of a message's body it needs to see.
    std::size_t wanted_of_client(char type) const;
    std::size_t wanted_of_server(char type) const;

    // What the client sends: a chunk; each of the messages that begin in it, as views into it, with where the session
    // was before; how much of the chunk was passed on.
    void client_sends(std::string_view chunk);
    void client_said(char type, std::uint32_t length, std::string_view beginning, const pgwire::session_tracker& where);
    void client_sent(std::size_t passed_on) { follow(passed_on); }
    // A message of the server.
    void server_said(char type, std::string_view beginning);
    // All is answered.
    void settled(pgwire::transaction_status status);

    heard_facts facts() const;
    // Whether the client may mean to bind a statement without a name that it has sent before.
    bool may_have_unnamed() const { return (span_.open && span_.touched) || statement_ != heard_facts::unnamed::none; }
    // Than it logged in by, perhaps; of one that has come back from where nobody listens, since then.
    bool may_have_other_role() const { return other_role_ || span_.role; }
    // Behind the client's message: so many that aren't its own, in front of what it says next.
    void more_was_sent(unsigned parses);
    // How the database reads the next text, as far as that is known.
    sql::lexing lexing() const { return lexing_in_flux_ ? sql::lexing{false, false} : lexing_; }
    bool clear() const { return !unclear_; }
    std::size_t kept_bytes() const { return parse_.capacity(); }

  private:
    // What passes until all is answered.
    struct span {
        bool open = false;
        bool at_rest = false;  // nothing was under way when the message at hand came
        bool error = false;
        bool extended = false;
        bool controls = false;  // transactions, by words
        bool unclear = false;   // something in it, or...
        bool unclear_since_reset = false;
        bool reset = false;
        bool discarded = false;
        bool role = false;  // may be another one by something in it, or...
        bool role_since_reset = false;
        unsigned parses = 0;
        unsigned parsed = 0;           // of these, before an error
        bool touched = false;          // the unnamed statement
        unsigned parses_up_to_it = 0;  // with its own
        heard_facts::unnamed statement = heard_facts::unnamed::none;
    };

    void open_span();
    // `missing`: bytes of the message behind the beginning that was seen.
    void text_said(std::string_view text, std::size_t missing, stands_in message);
    // Looks through a long text up to there in the chunk.
    void follow(std::size_t up_to);
    void note(const sql::statement& it, std::string_view text, stands_in message);
    void note_setting(std::string_view name);
    void note_set(const sql::effect::set_parameter& set);
    void note_role(std::string_view name);
    void parse_said(std::uint32_t length, std::string_view beginning);
    void doubt();

    notebook& shared_;
    span span_;
    bool unclear_;
    bool strings_changed_;
    bool sequence_values_;
    bool other_role_ = false;
    bool strings_told_ = false;
    bool lexing_in_flux_ = false;
    sql::lexing lexing_;
    unsigned names_ = 0;
    heard_facts::unnamed statement_;
    std::string parse_;

    std::string_view chunk_;  // while it is inspected
    std::optional<long_text> long_;
    std::size_t long_left_ = 0;
    std::size_t long_at_ = 0;  // in the chunk
};

}  // namespace crossfade::proxy::portrait
