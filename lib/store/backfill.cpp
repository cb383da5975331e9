#include "lib/store/backfill.hpp"

#include <algorithm>
#include <array>

namespace crossfade::store {

namespace {

constexpr std::array<std::string_view, 4> stages{"asked", "copying", "catching_up", "done"};

}  // namespace

std::string_view to_string(backfill::stage of) {
    return stages.at(static_cast<std::size_t>(of));
}

pgclient::result<std::vector<backfill>> load_backfills(pgclient::connection& db, const std::string& stream) {
    auto got = db.exec(
        "SELECT table_name, state, reason, key_columns, last_key, settled_lsn, estimated_rows, copied_rows,"
        " copied_bytes, max_rate, (extract(epoch FROM max_lag) * 1000)::bigint,"
        " (extract(epoch FROM updated_at - coalesce(began_at, updated_at)) * 1000)::bigint"
        " FROM crossfade.backfills WHERE stream = $1 ORDER BY asked_at, table_name",
        {stream});
    if (!got) return got.error();
    std::vector<backfill> found;
    for (int i = 0; i < got->size(); ++i) {
        const auto text = [&](int column) { return std::string{got->text(i, column)}; };
        const auto number = [&](int column) { return got->integer(i, column).value_or(0); };
        backfill one;
        one.table = text(0);
        one.now = static_cast<backfill::stage>(std::ranges::find(stages, got->text(i, 1)) - stages.begin());
        one.reason = text(2);
        one.key_columns = text(3);
        one.last_key = text(4);
        if (const auto lsn = model::parse_lsn(got->text(i, 5))) one.settled_lsn = *lsn;
        one.estimated_rows = number(6);
        one.copied_rows = number(7);
        one.copied_bytes = number(8);
        one.max_rate = number(9);
        one.max_lag = std::chrono::milliseconds{number(10)};
        one.took = std::chrono::milliseconds{number(11)};
        found.push_back(std::move(one));
    }
    return found;
}

}  // namespace crossfade::store
