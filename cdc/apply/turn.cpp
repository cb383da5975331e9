#include "cdc/apply/turn.hpp"

#include "lib/store/schema.hpp"

namespace crossfade::cdc::apply {

pgclient::result<bool> begin_turn(session& to, const careful_settings& settings, const store::progress& at) {
    auto& pipe = *to.pipe;
    pipe.add("BEGIN");
    pipe.add(statement{std::string{store::try_share_sql}, store::lock_key(store::lock::backfilling, settings.stream),
                       std::nullopt});
    pipe.add(statement{
        "SELECT 1 FROM crossfade.progress WHERE stream = $1 AND partition = $2::int AND next_offset = $3::bigint"
        " AND commit_lsn = $4::pg_lsn FOR UPDATE",
        {settings.stream, std::to_string(settings.partition), std::to_string(at.next_offset),
         model::to_string(at.commit_lsn)},
        std::nullopt});
    auto got = pipe.run();
    if (!got) return got.error();
    if ((*got)[1].got.boolean(0, 0) && !(*got)[2].got.empty()) return true;
    pipe.add("ROLLBACK");
    if (auto left = pipe.run(); !left) return left.error();
    return false;
}

}  // namespace crossfade::cdc::apply
