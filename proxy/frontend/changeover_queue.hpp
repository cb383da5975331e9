#pragma once

#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "lib/settings/flags.hpp"
#include "proxy/frontend/front_metrics.hpp"
#include "proxy/frontend/interview.hpp"

namespace crossfade::proxy::frontend {

class session;

// The sessions of an event loop that go over to the other database, and what they share. They wait here for their turn,
// as a database that is asked to let in ten thousand at once lets in nobody. For the loop's thread.
class changeover_queue {
  public:
    // That go over at the same time.
    static constexpr unsigned most = 32;

    enum class urgency { client_waits, nobody_waits };
    void add(std::shared_ptr<session> one, urgency how);
    // Whose turn it is now, until gone(); null: nobody's.
    std::shared_ptr<session> next();
    void gone() { --under_way_; }
    // Whether the last who tried has found the other database: who has waited for its turn long enough need not find
    // out by itself.
    void found(bool somebody) { nobody_there_ = !somebody; }
    bool nobody_there() const { return nobody_there_; }

    // What the functions of a database set: asked in the session of the first who comes, while the others wait for it.
    using shared_survey = std::shared_ptr<const portrait::function_survey>;
    using surveyed = boost::system::result<shared_survey, interview_failure>;
    asio::awaitable<surveyed> survey_of(settings::side side, std::string database, transport& server,
                                        message_reader& from, for_client& meanwhile);
    // They may have changed; or have, since this one.
    void forget_surveys() { surveys_.clear(); }
    void forget(settings::side side, const std::string& database, const shared_survey& outdated);

  private:
    struct survey_under_way {
        explicit survey_under_way(const asio::any_io_executor& on) : done(on, asio::steady_timer::time_point::max()) {}
        shared_survey found;      // null: not yet, or it failed
        asio::steady_timer done;  // cancelled then
    };

    std::deque<std::shared_ptr<session>> urgent_;
    std::deque<std::shared_ptr<session>> patient_;
    unsigned under_way_ = 0;
    bool nobody_there_ = false;
    std::map<std::pair<settings::side, std::string>, std::shared_ptr<survey_under_way>> surveys_;
};

}  // namespace crossfade::proxy::frontend
