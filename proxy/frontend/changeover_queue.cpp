#include "proxy/frontend/changeover_queue.hpp"

#include <boost/asio/this_coro.hpp>

namespace crossfade::proxy::frontend {

void changeover_queue::add(std::shared_ptr<session> one, urgency how) {
    (how == urgency::client_waits ? urgent_ : patient_).push_back(std::move(one));
}

std::shared_ptr<session> changeover_queue::next() {
    auto& from = urgent_.empty() ? patient_ : urgent_;
    if (under_way_ == most || from.empty()) return nullptr;
    ++under_way_;
    auto one = std::move(from.front());
    from.pop_front();
    return one;
}

asio::awaitable<changeover_queue::surveyed> changeover_queue::survey_of(settings::side side, std::string database,
                                                                        transport& server, message_reader& from,
                                                                        for_client& meanwhile) {
    const std::pair key{side, std::move(database)};
    for (auto known = surveys_.find(key); known != surveys_.end(); known = surveys_.find(key)) {
        const auto one = known->second;
        if (one->found) co_return one->found;
        co_await one->done.async_wait(use_result);
        if (one->found) co_return one->found;
    }
    const auto own = std::make_shared<survey_under_way>(co_await asio::this_coro::executor);
    surveys_[key] = own;
    auto found = co_await survey(server, from, meanwhile);
    if (found) {
        own->found = std::make_shared<const portrait::function_survey>(std::move(*found));
    } else if (const auto here = surveys_.find(key); here != surveys_.end() && here->second == own) {
        surveys_.erase(here);
    }
    own->done.cancel();
    if (!found) co_return std::move(found.error());
    co_return own->found;
}

void changeover_queue::forget(settings::side side, const std::string& database, const shared_survey& outdated) {
    const auto known = surveys_.find({side, database});
    if (known != surveys_.end() && known->second->found == outdated) surveys_.erase(known);
}

}  // namespace crossfade::proxy::frontend
