#include "lib/settings/directions.hpp"

#include <memory>
#include <mutex>
#include <utility>

#include "lib/settings/turned.hpp"

namespace crossfade::settings {
namespace {

// One for each that is in force: who holds it knows by the object whether there is another.
class view {
  public:
    view(std::function<snapshot()> in_force, std::function<configuration(const configuration&)> make)
        : in_force_(std::move(in_force)), make_(std::move(make)) {}

    snapshot now() {
        auto live = in_force_();
        const std::lock_guard hold{mutex_};
        if (live != live_) {
            made_ = std::make_shared<const in_force>(in_force{make_(live->config), live->epoch, live->decided});
            live_ = std::move(live);
        }
        return made_;
    }

  private:
    std::function<snapshot()> in_force_;
    std::function<configuration(const configuration&)> make_;
    std::mutex mutex_;
    snapshot live_;
    snapshot made_;
};

std::function<snapshot()> seen(std::function<snapshot()> in_force,
                               std::function<configuration(const configuration&)> make) {
    return [of = std::make_shared<view>(std::move(in_force), std::move(make))] { return of->now(); };
}

}  // namespace

std::function<snapshot()> forth(std::function<snapshot()> in_force) {
    return seen(std::move(in_force), [](const configuration& of) {
        configuration made = of;
        if (of.stream.both_ways) made.flags = of.flags.under(side::legacy);
        return made;
    });
}

std::function<snapshot()> back(std::function<snapshot()> in_force) {
    return seen(std::move(in_force), turned);
}

std::string forth_stream(const configuration& of) {
    return of.source == side::legacy ? of.stream.name : opposite_stream(of);
}

std::string opposite_stream(const configuration& of) {
    if (of.source == side::legacy) return back_stream(of.stream.name);
    const auto suffix = back_stream({}).size();
    return of.stream.name.substr(0, of.stream.name.size() - suffix);
}

std::string source_dsn(const configuration& of) {
    return std::string{of.source_name()} + ".dsn";
}

std::string follower_dsn(const configuration& of) {
    return std::string{of.follower_name()} + ".dsn";
}

std::string begin_back_anew(const configuration& of) {
    return "while " + std::string{of.follower_name()} + " is the authority: drop slot " + of.stream.slot() + " on " +
           std::string{of.source_name()} + " and topic " + of.stream.topic() + ", delete the rows of stream " +
           of.stream.name + " from crossfade.progress on " + std::string{of.follower_name()} +
           ", then run `crossfade init`";
}

}  // namespace crossfade::settings
