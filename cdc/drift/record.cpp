#include "cdc/drift/record.hpp"

#include <boost/json.hpp>

#include "lib/pgwire/array_literal.hpp"

namespace crossfade::cdc::drift {

std::string_view to_string(kind of) {
    switch (of) {
        case kind::insert_exists:
            return "insert_exists";
        case kind::update_exists:
            return "update_exists";
        case kind::update_missing:
            return "update_missing";
        case kind::update_origin_differs:
            return "update_origin_differs";
        case kind::delete_missing:
            return "delete_missing";
        case kind::delete_origin_differs:
            return "delete_origin_differs";
        case kind::multiple_unique_conflicts:
            return "multiple_unique_conflicts";
        case kind::rejected:
            break;
    }
    return "rejected";
}

std::string_view to_string(state of) {
    switch (of) {
        case state::suspect:
            return "suspect";
        case state::repaired:
            return "repaired";
        case state::confirmed:
            break;
    }
    return "confirmed";
}

namespace {

std::string key_text(const record& of) {
    boost::json::object key;
    for (const auto& [name, value] : of.key) {
        if (value) {
            key[name] = *value;
        } else {
            key[name] = nullptr;
        }
    }
    return boost::json::serialize(key);
}

}  // namespace

stored mend(const std::string& stream, const record& what) {
    return {
        "UPDATE crossfade.drift SET state = 'repaired', last_seen = now() WHERE stream = $1::text"
        " AND table_name = $2::text AND key = $3::jsonb AND kind = $4::text AND state <> 'repaired'",
        {stream, model::to_string(what.table), key_text(what), std::string{to_string(what.what)}}};
}

stored store(const std::string& stream, const record& what) {
    pgclient::parameter columns;
    if (what.columns) columns = boost::json::serialize(boost::json::array(what.columns->begin(), what.columns->end()));
    return {
        "INSERT INTO crossfade.drift AS d (stream, tenant, table_name, key, kind, state, columns, authority_digest,"
        " follower_digest, commit_lsn, ordinal)"
        " VALUES ($1::text, $2::text, $3::text, $4::jsonb, $5::text, $6::text,"
        " (SELECT array_agg(v) FROM jsonb_array_elements_text($7::jsonb) AS v), $8::text, $9::text, $10::pg_lsn,"
        " $11::bigint)"
        " ON CONFLICT (stream, table_name, key, kind) DO UPDATE SET tenant = excluded.tenant, state = excluded.state,"
        " columns = excluded.columns, authority_digest = excluded.authority_digest,"
        " follower_digest = excluded.follower_digest, commit_lsn = excluded.commit_lsn, ordinal = excluded.ordinal,"
        " seen = d.seen + 1, last_seen = now()",
        {stream, what.tenant, model::to_string(what.table), key_text(what), std::string{to_string(what.what)},
         std::string{to_string(what.now)}, std::move(columns), what.authority_digest, what.follower_digest,
         model::to_string(what.at.commit_lsn), std::to_string(what.at.ordinal)}};
}

std::string may_share_a_row(const std::string& keys, const std::string& others) {
    const auto identity = "[1] >> " + std::to_string(64 - identity_bits);
    return '(' + keys + " && " + others + " OR 0 = ANY (" + keys + ") OR 0 = ANY (" + others + ") OR " + keys +
           identity + " <> " + others + identity + ')';
}

stored store(const std::string& stream, const std::string& topic, int partition, const dead_letter& what) {
    static const auto of_the_same = may_share_a_row("o.keys", "($16::bigint[])");
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string bytes = "\\x";
    bytes.reserve(2 + what.event.size() * 2);
    for (const char c : what.event) {
        const auto byte = static_cast<unsigned char>(c);
        bytes += digits[byte >> 4];
        bytes += digits[byte & 15];
    }
    pgwire::array_literal rows;
    for (const auto row : what.rows) rows.add(std::to_string(static_cast<std::int64_t>(row)));
    static const auto sql =
        "INSERT INTO crossfade.dead_letters AS l (stream, topic, partition, kafka_offset, system_identifier, timeline,"
        " commit_lsn, ordinal, tenant, table_name, operation, sqlstate, reason, event, state, keys)"
        " VALUES ($1::text, $2::text, $3::int, $4::bigint, $5::numeric, $6::bigint, $7::pg_lsn, $8::bigint, $9::text,"
        " $10::text, $11::text, $12::text, $13::text, $14::bytea,"
        // Behind what an operator has asked to be replayed, and nothing else: in its turn.
        " CASE WHEN $15::text = 'behind' AND NOT EXISTS (SELECT FROM crossfade.dead_letters o"
        " WHERE o.stream = $1::text AND o.table_name = $10::text AND o.state <> 'replay'"
        " AND (o.commit_lsn, o.ordinal) < ($7::pg_lsn, $8::bigint)"
        " AND " +
        of_the_same +
        ") THEN 'replay' ELSE $15::text END, $16::bigint[])"
        " ON CONFLICT (stream, partition, commit_lsn, ordinal, table_name) DO UPDATE SET sqlstate = excluded.sqlstate,"
        " reason = excluded.reason, state = excluded.state, tries = l.tries + 1";
    return {sql,
            {stream, topic, std::to_string(partition), std::to_string(what.offset),
             std::to_string(what.at.system_identifier), std::to_string(what.at.timeline),
             model::to_string(what.at.commit_lsn), std::to_string(what.at.ordinal), what.tenant,
             model::to_string(what.table), std::string{what.operation}, what.sqlstate, what.reason, std::move(bytes),
             std::string{what.state}, rows.take()}};
}

}  // namespace crossfade::cdc::drift
