#include <set>

#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"

namespace crossfade::ctl::check {

namespace {

void same_or_warn(const std::string& id, const std::string& legacy, const std::string& modern, const std::string& why,
                  findings& into) {
    if (legacy == modern) {
        into.ok(id, legacy);
    } else {
        into.warn(id, "legacy " + legacy + ", modern " + modern, why);
    }
}

void judge_sequences(const evidence& of, const catalog::database& legacy, const catalog::database& modern,
                     findings& into) {
    std::size_t behind = 0;
    std::vector<std::string> missing;
    for (const auto& [name, last] : legacy.sequences) {
        const auto at = modern.sequences.find(name);
        if (at == modern.sequences.end()) {
            missing.push_back(name);
        } else if (last.value_or(0) > at->second.value_or(0)) {
            ++behind;
        }
    }
    if (!missing.empty()) {
        into.warn("sequences", "missing on modern: " + listing(missing),
                  "CREATE SEQUENCE ...; with the tables' defaults");
    } else {
        into.ok("sequences",
                std::to_string(legacy.sequences.size()) + " on legacy, " + std::to_string(behind) +
                    " behind on modern" +
                    (of.stream.both_ways
                         ? "; a flip sets ahead those that the stream's tables draw from, and those that no table owns"
                         : "; without stream.both_ways nobody sets them ahead for you"));
    }
}

}  // namespace

bool look_alike(const catalog::database& legacy, const catalog::database& modern) {
    return legacy.system_identifier == modern.system_identifier && legacy.database_oid == modern.database_oid;
}

void judge_pair(const evidence& of, const catalog::database& legacy, const catalog::database& modern, findings& into) {
    const bool alike = look_alike(legacy, modern);
    if (alike && of.one_server) {
        into.fail("same_database", "legacy and modern are one and the same database (" + legacy.name + ")",
                  "correct legacy.dsn or modern.dsn");
        return;
    }
    into.ok("same_database", alike ? "two servers, one of which began as a copy of the other's files"
                             : legacy.system_identifier == modern.system_identifier
                                 ? "two databases of one cluster"
                                 : "two clusters, " + legacy.system_identifier + " and " + modern.system_identifier);
    if (modern.store.progress && modern.store.progress->system_identifier != legacy.system_identifier)
        into.fail("stream_source",
                  "modern was fed from cluster " + modern.store.progress->system_identifier + ", legacy.dsn names " +
                      legacy.system_identifier,
                  "correct legacy.dsn, or crossfade backfill --resync to start from this cluster");
    if (legacy.slot && !modern.store.progress)
        into.warn("stream_state", "the slot exists, modern has no progress", "crossfade init");
    if (!legacy.slot && modern.store.progress)
        into.fail("stream_state", "modern has progress, legacy has no slot: changes since then are not kept",
                  "crossfade backfill --resync");
    if (legacy.encoding == modern.encoding) {
        into.ok("encoding", legacy.encoding);
    } else if (modern.encoding == "UTF8" && legacy.encoding != "SQL_ASCII") {
        into.warn("encoding", "legacy " + legacy.encoding + ", modern UTF8", "nothing: values are converted");
    } else {
        into.fail("encoding", "legacy " + legacy.encoding + ", modern " + modern.encoding,
                  "create the modern database with ENCODING '" + legacy.encoding + "' or UTF8");
    }
    same_or_warn("collation", legacy.collation, modern.collation,
                 "texts sort differently: check ORDER BY, unique indexes on expressions and range partitions", into);
    same_or_warn("time_zone", legacy.time_zone, modern.time_zone,
                 "ALTER DATABASE " + model::quote_identifier(modern.name) + " SET timezone = '" + legacy.time_zone +
                     "'; (rows are carried in UTC and not touched by this)",
                 into);
    judge_settings(of, into);
    judge_schema(legacy, modern, into);
    judge_ties(of, legacy, modern, into);
    judge_sequences(of, legacy, modern, into);
}

}  // namespace crossfade::ctl::check
