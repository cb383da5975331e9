#include "lib/handover/file_record.hpp"

#include "lib/handover/coordinator.hpp"
#include "lib/handover/gates_parts.hpp"

namespace crossfade::handover {
namespace {

using gates::ask;
using settings::side;

bool keeps_any(pgclient::connection& legacy) {
    return ask(legacy, "looking for crossfade.file_words", "SELECT to_regclass('crossfade.file_words') IS NOT NULL")
        .boolean(0, 0);
}

}  // namespace

std::vector<settings::heeded_word> load_heeded(pgclient::connection& legacy, const std::string& stream) {
    std::vector<settings::heeded_word> all;
    if (!keeps_any(legacy)) return all;
    const auto found =
        ask(legacy, "reading crossfade.file_words",
            "SELECT table_group, tenant, authority, epoch FROM crossfade.file_words WHERE stream = $1::text", {stream});
    for (int i = 0; i < found.size(); ++i)
        all.push_back({{std::string{found.text(i, 0)}, std::string{found.text(i, 1)}},
                       found.text(i, 2) == "modern" ? side::modern : side::legacy,
                       static_cast<std::uint64_t>(found.integer(i, 3).value_or(0))});
    return all;
}

void forget_heeded(pgclient::connection& legacy, const std::string& stream,
                   const std::vector<settings::file_word>& words, side to) {
    if (!keeps_any(legacy)) return;
    for (const auto& each : words)
        if (each.changed && each.authority == to)
            ask(legacy, "writing crossfade.file_words",
                "DELETE FROM crossfade.file_words WHERE stream = $1::text AND table_group = $2::text"
                " AND tenant = $3::text",
                {stream, each.scope.group, each.scope.tenant});
}

void note_heeded(const settings::configuration& config, const std::vector<settings::file_word>& words, side to,
                 std::int64_t epoch, const std::function<void(const std::string&)>& say) {
    std::vector<settings::flag_scope> heeded;
    for (const auto& each : words)
        if (each.changed && each.authority == to) heeded.push_back(each.scope);
    if (heeded.empty()) return;
    try {
        auto legacy = gates::connect(config, side::legacy);
        if (!keeps_any(legacy)) throw trouble("there is no crossfade.file_words. Way out: crossfade init");
        for (const auto& each : heeded)
            ask(legacy, "writing crossfade.file_words",
                "INSERT INTO crossfade.file_words AS w (stream, table_group, tenant, authority, epoch) VALUES"
                " ($1::text, $2::text, $3::text, $4::text, $5::bigint) ON CONFLICT (stream, table_group, tenant)"
                " DO UPDATE SET authority = excluded.authority, epoch = excluded.epoch, heeded_at ="
                " clock_timestamp() WHERE w.epoch <= excluded.epoch",
                {config.stream.name, each.group, each.tenant, std::string{to_string(to)}, std::to_string(epoch)});
    } catch (const trouble& why) {
        say(std::string{"that the file was heeded is not noted, and a proxy that reads it later may order the same: "} +
            why.what());
    }
}

}  // namespace crossfade::handover
