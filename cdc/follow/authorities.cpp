#include "cdc/follow/authorities.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

#include "lib/pgclient/connection.hpp"
#include "lib/store/authority.hpp"

namespace crossfade::cdc::follow {
namespace {

using namespace std::chrono_literals;
using settings::side;
using read_row = std::optional<store::authority_row>;

pgclient::result<read_row> read(const settings::configuration& config, side which) {
    pgclient::open_options options;
    options.application_name = "crossfade-authority";
    options.connect_timeout = 2s;
    options.silence = 3000ms;
    auto opened = pgclient::connection::open(config.database_of(which).dsn, options);
    if (!opened) return opened.error();
    return store::load_authority(*opened, config.stream.name);
}

}  // namespace

std::optional<settings::assignment> authorities(const settings::configuration& config) {
    read_row newest;
    bool any = false;
    for (const auto which : {side::legacy, side::modern}) {
        const auto row = read(config, which);
        if (!row) {
            spdlog::warn("{} can't be asked who the authority is: {}", to_string(which),
                         pgclient::to_string(row.error()));
            continue;
        }
        any = true;
        if (const auto* newer = store::newer(newest, *row); newer != nullptr) newest = read_row{*newer};
    }
    if (!any) return std::nullopt;
    return newest ? newest->authorities : settings::assignment{};
}

}  // namespace crossfade::cdc::follow
