#pragma once

#include "proxy/frontend/front_metrics.hpp"
#include "proxy/portrait/hearing.hpp"

namespace crossfade::proxy::frontend {

// What a session is heard to do, and the loop's counts of it. For the thread of that loop.
class ear {
  public:
    ear(portrait::notebook& notes, loop_stats& counts, portrait::hearing::since when);
    ear(portrait::notebook& notes, loop_stats& counts, portrait::hearing::memory of);
    ~ear();
    ear(const ear&) = delete;
    ear& operator=(const ear&) = delete;

    std::size_t wanted_of_client(char type) const { return heard_.wanted_of_client(type); }
    std::size_t wanted_of_server(char type) const { return heard_.wanted_of_server(type); }
    void client_sends(std::string_view chunk) { heard_.client_sends(chunk); }
    void client_said(char type, std::uint32_t length, std::string_view beginning,
                     const pgwire::session_tracker& where) {
        heard_.client_said(type, length, beginning, where);
    }
    void client_sent(std::size_t passed_on) { heard_.client_sent(passed_on); }
    void server_said(char type, std::string_view beginning) { heard_.server_said(type, beginning); }
    void settled(pgwire::transaction_status status);

    portrait::hearing::memory remembered() const { return heard_.remembered(); }
    bool may_have_unnamed() const { return heard_.may_have_unnamed(); }
    bool may_have_other_role() const { return heard_.may_have_other_role(); }
    void more_was_sent(unsigned parses) { heard_.more_was_sent(parses); }
    sql::lexing lexing() const { return heard_.lexing(); }
    std::size_t kept_bytes() const { return heard_.kept_bytes(); }

  private:
    void count();

    portrait::notebook& notes_;
    loop_stats& counts_;
    portrait::hearing heard_;
    bool counted_unclear_ = false;
    std::size_t counted_bytes_ = 0;
};

}  // namespace crossfade::proxy::frontend
