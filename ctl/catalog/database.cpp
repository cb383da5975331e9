#include "ctl/catalog/database.hpp"

#include "ctl/exit_code.hpp"
#include "lib/store/progress.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::catalog {

namespace {

pgclient::connection open(const settings::configuration& config, settings::side side,
                          const pgclient::open_options& options) {
    const auto& database = config.database_of(side);
    auto opened = pgclient::connection::open(database.dsn, options);
    const auto name = side == settings::side::legacy ? config.source_name() : config.follower_name();
    if (!opened)
        throw stop(exit_code::unreachable, "no connection to " + std::string{name} + " (" + to_string(database.server) +
                                               "): " + opened.error().message);
    return std::move(*opened);
}

}  // namespace

pgclient::connection connect(const settings::configuration& config, settings::side side) {
    return open(config, side,
                {.application_name = std::string{application_name}, .silence = config.stream.silence_timeout});
}

pgclient::connection connect_replication(const settings::configuration& config, settings::side side) {
    return open(config, side,
                {.application_name = std::string{application_name},
                 .replication = true,
                 .silence = config.stream.silence_timeout});
}

pgclient::connection connect_installed(const settings::configuration& config) {
    auto modern = connect(config, settings::side::modern);
    const auto version = store::installed_version(modern);
    if (!version) throw stop(exit_code::no, "asking modern: " + to_string(version.error()));
    if (*version != store::schema_version)
        throw stop(exit_code::no, "schema crossfade does not exist on modern, or is of another version",
                   "crossfade init");
    return modern;
}

pgclient::rows ask(pgclient::connection& on, std::string_view doing, const std::string& sql,
                   const std::vector<pgclient::parameter>& parameters) {
    // Without parameters the simple protocol is used, which takes several statements and replication commands.
    auto got = parameters.empty() ? on.exec(sql) : on.exec(sql, parameters);
    if (!got)
        throw stop(got.error().connection_lost() ? exit_code::unreachable : exit_code::no,
                   std::string{doing} + ": " + to_string(got.error()));
    return std::move(*got);
}

}  // namespace crossfade::ctl::catalog
