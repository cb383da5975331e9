#include "lib/store/progress.hpp"

#include <algorithm>
#include <charconv>

namespace crossfade::store {

namespace {

bool not_installed(const pgclient::failure& what) {
    return what.sqlstate == "42P01" || what.sqlstate == "3F000";
}

template <class Number>
Number number(std::string_view digits) {
    Number value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

model::lsn lsn_at(const pgclient::rows& from, int row, int column) {
    const auto parsed = model::parse_lsn(from.text(row, column));
    return parsed ? *parsed : model::lsn{};
}

// 1970 and 2200. Beyond that there is nothing that a clock says, and PostgreSQL refuses what an interval doesn't hold.
constexpr model::source_time earliest{};
constexpr model::source_time latest{std::chrono::seconds{7'258'118'400}};

// What the statement that moves progress sets, whoever's it is; $5 are microseconds since 1970, exact.
constexpr std::string_view advanced =
    "timeline = $2::bigint, commit_lsn = $3::pg_lsn, end_lsn = $4::pg_lsn, ordinal = $10::bigint,"
    " commit_time = timestamptz '1970-01-01 00:00:00+00' + ($5::bigint * interval '1 microsecond'),"
    " waiting_lsn = $11::pg_lsn, waiting_ordinal = $12::bigint, waiting_offset = $13::bigint, updated_at = now()";

}  // namespace

pgclient::result<std::optional<progress>> load_progress(pgclient::connection& db, const std::string& stream,
                                                        int partition) {
    auto got = db.exec(
        "SELECT topic, next_offset, system_identifier, timeline, commit_lsn, end_lsn,"
        " (extract(epoch FROM commit_time) * 1000000)::bigint, created_at, left_timelines, ordinal"
        " FROM crossfade.progress WHERE stream = $1 AND partition = $2",
        {stream, std::to_string(partition)});
    if (!got) return got.error();
    if (got->empty()) return std::optional<progress>{};
    progress found;
    found.topic = got->text(0, 0);
    found.next_offset = number<std::int64_t>(got->text(0, 1));
    found.system_identifier = number<std::uint64_t>(got->text(0, 2));
    found.timeline = number<std::uint32_t>(got->text(0, 3));
    found.commit_lsn = lsn_at(*got, 0, 4);
    found.end_lsn = lsn_at(*got, 0, 5);
    if (const auto at = got->integer(0, 6)) found.commit_time = model::source_time{std::chrono::microseconds{*at}};
    found.created_at = got->text(0, 7);
    found.ordinal = number<std::uint64_t>(got->text(0, 9));
    if (auto left = model::parse_timeline_history(got->text(0, 8))) found.left = std::move(*left);
    return std::optional{std::move(found)};
}

pgclient::result<std::vector<int>> load_partitions(pgclient::connection& db, const std::string& stream) {
    auto got = db.exec("SELECT partition FROM crossfade.progress WHERE stream = $1 ORDER BY 1", {stream});
    if (!got) return got.error();
    std::vector<int> found;
    for (int row = 0; row < got->size(); ++row) found.push_back(number<int>(got->text(row, 0)));
    return found;
}

std::string_view note_left_sql() {
    return "UPDATE crossfade.progress SET left_timelines = $3::text WHERE stream = $1::text AND partition = $2::int";
}

std::string text_of_left(const std::vector<model::timeline_end>& left) {
    std::string text;
    for (const auto& each : left) text += std::to_string(each.timeline) + '\t' + model::to_string(each.end) + '\n';
    return text;
}

std::string_view advance_sql() {
    static const std::string sql =
        "UPDATE crossfade.progress SET next_offset = $1::bigint, " + std::string{advanced} +
        " WHERE stream = $6::text AND partition = $7::int AND next_offset = $8::bigint AND commit_lsn = $9::pg_lsn";
    return sql;
}

std::string_view advance_several_sql() {
    static const std::string sql =
        "UPDATE crossfade.progress SET"
        " next_offset = CASE partition WHEN $7::int THEN $1::bigint ELSE waiting_offset + 1 END, " +
        std::string{advanced} +
        " WHERE stream = $6::text AND partition = ANY ($14::int[]) AND CASE partition WHEN $7::int THEN next_offset = "
        "$8::bigint AND commit_lsn = "
        "$9::pg_lsn ELSE waiting_lsn = $3::pg_lsn AND waiting_ordinal = $10::bigint END";
    return sql;
}

std::string text_of_partitions(const std::vector<std::uint32_t>& partitions) {
    std::string text;
    for (const auto each : partitions) text += (text.empty() ? "" : ",") + std::to_string(each);
    return '{' + text + '}';
}

std::string_view wait_at_sql() {
    return "UPDATE crossfade.progress SET waiting_lsn = $4::pg_lsn, waiting_ordinal = $5::bigint, waiting_offset ="
           " $6::bigint WHERE stream = $1::text AND partition = $2::int AND next_offset = $3::bigint"
           " AND commit_lsn = $7::pg_lsn";
}

std::string_view stragglers_sql() {
    return "SELECT partition FROM crossfade.progress WHERE stream = $1::text AND partition <> $2::int"
           " AND ($5::int[] IS NULL OR partition = ANY ($5::int[])) AND (commit_lsn, ordinal) < ($3::pg_lsn, "
           "$4::bigint)"
           " AND (waiting_lsn IS NULL OR (waiting_lsn, waiting_ordinal) < ($3::pg_lsn, $4::bigint)) ORDER BY 1";
}

std::string_view advance_or_fail_sql() {
    static const std::string sql =
        "WITH moved AS (" + std::string{advance_sql()} + " RETURNING 1) SELECT 1 / count(*) FROM moved";
    return sql;
}

std::vector<pgclient::parameter> advance_parameters(const std::string& stream, int partition, const progress& from,
                                                    const progress& to) {
    pgclient::parameter at;
    const auto& waits = to.waits_at;
    if (to.commit_time) at = std::to_string(std::clamp(*to.commit_time, earliest, latest).time_since_epoch().count());
    return {std::to_string(to.next_offset),
            std::to_string(to.timeline),
            model::to_string(to.commit_lsn),
            model::to_string(to.end_lsn),
            at,
            stream,
            std::to_string(partition),
            std::to_string(from.next_offset),
            model::to_string(from.commit_lsn),
            std::to_string(to.ordinal),
            waits ? pgclient::parameter{model::to_string(waits->at.commit_lsn)} : std::nullopt,
            waits ? pgclient::parameter{std::to_string(waits->at.ordinal)} : std::nullopt,
            waits ? pgclient::parameter{std::to_string(waits->offset)} : std::nullopt};
}

pgclient::result<std::vector<table_state>> load_tables(pgclient::connection& db, const std::string& stream) {
    auto got = db.exec(
        "SELECT table_name, t.state, copied_lsn, coalesce(b.key_columns = '', false), b.source_snapshot,"
        " CASE WHEN b.state = 'catching_up' THEN b.settled_lsn END,"
        // The column may not be there before the next `crossfade init`.
        " (to_jsonb(t)->>'filled_lsn')::pg_lsn"
        " FROM crossfade.tables t LEFT JOIN crossfade.backfills b USING (stream, table_name) WHERE stream = $1",
        {stream});
    if (!got) return got.error();
    std::vector<table_state> tables;
    for (int i = 0; i < got->size(); ++i) {
        table_state table;
        table.table = got->text(i, 0);
        table.state = got->text(i, 1);
        table.whole = got->boolean(i, 3);
        table.snapshot = got->text(i, 4);
        if (!got->null(i, 5)) table.settled_lsn = lsn_at(*got, i, 5);
        if (!got->null(i, 2)) table.copied_lsn = lsn_at(*got, i, 2);
        if (!got->null(i, 6)) table.filled_lsn = lsn_at(*got, i, 6);
        tables.push_back(std::move(table));
    }
    return tables;
}

std::string_view tables_fingerprint_sql() {
    return "SELECT md5(coalesce(string_agg(table_name || ' ' || state || ' ' || coalesce(copied_lsn::text, ''), ','"
           " ORDER BY table_name COLLATE \"C\"), '')) || ' ' || (SELECT count(*) FROM crossfade.dead_letters"
           " WHERE stream = $1::text AND state IN ('replay', 'discard')) || ' ' || (SELECT count(*) || ' ' ||"
           " coalesce(max(id), 0) FROM crossfade.dead_letters WHERE stream = $1::text AND operation = 'ddl')"
           " FROM crossfade.tables WHERE stream = $1::text";
}

std::string_view tables_and_authority_fingerprint_sql() {
    static const std::string sql =
        "SELECT (" + std::string{tables_fingerprint_sql()} +
        ") || ' ' || coalesce((SELECT coalesce(follower_since::text, '') || ' ' || authority || apart"
        " FROM crossfade.authority WHERE stream = $2::text), '')";
    return sql;
}

std::string_view follower_since_sql() {
    return "SELECT greatest($1::timestamptz, (SELECT follower_since FROM crossfade.authority WHERE stream = $2::text))";
}

pgclient::result<std::optional<int>> installed_version(pgclient::connection& db) {
    auto got = db.exec("SELECT version FROM crossfade.meta");
    if (!got && not_installed(got.error())) return std::optional<int>{};
    if (!got) return got.error();
    if (got->empty()) return std::optional<int>{};
    return std::optional{static_cast<int>(got->integer(0, 0).value_or(0))};
}

}  // namespace crossfade::store
