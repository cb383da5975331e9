#include "lib/events/envelope.hpp"

#include "lib/events/json_text.hpp"
#include "lib/model/sentinel.hpp"

namespace crossfade::events {

namespace {

using std::chrono::milliseconds;

// PostgreSQL's own types that JSON has, too; their OIDs never change (pg_type.dat).
enum class json_kind { text, boolean, number };
json_kind kind_of(std::uint32_t type_oid) {
    switch (type_oid) {
        case 16:  // bool
            return json_kind::boolean;
        case 20:   // int8
        case 21:   // int2
        case 23:   // int4
        case 700:  // float4
        case 701:  // float8
            return json_kind::number;
        default:
            return json_kind::text;
    }
}

void append_value(std::string& to, const model::column& column, const model::cell& cell) {
    if (cell.kind == model::cell_kind::null) {
        to += "null";
        return;
    }
    if (cell.kind == model::cell_kind::unchanged) return append_json_string(to, unavailable_value);
    const auto kind = kind_of(column.type_oid);
    if (kind == json_kind::boolean && (cell.text == "t" || cell.text == "f")) {
        to += cell.text == "t" ? "true" : "false";
    } else if (kind == json_kind::number && is_json_number(cell.text)) {
        to += cell.text;
    } else {
        append_json_string(to, cell.text);
    }
}

// What an image before the change knows of a value that the image after it lacks.
const model::cell& known(const model::row& cells, const model::row& before, std::size_t i) {
    const bool older =
        cells[i].kind == model::cell_kind::unchanged && i < before.size() && before[i].kind == model::cell_kind::text;
    return older ? before[i] : cells[i];
}

enum class columns { all, key };

void append_name(std::string& json, std::string_view name) {
    if (json.size() > 1) json += ',';
    append_json_string(json, name);
    json += ':';
}

// Without the closing brace.
std::string open_object(const model::relation& rel, columns which, const model::row& cells,
                        const model::row& before = {}) {
    std::string json = "{";
    for (std::size_t i = 0; i < rel.columns.size() && i < cells.size(); ++i) {
        if (which == columns::key && !rel.columns[i].key) continue;
        append_name(json, rel.columns[i].name);
        append_value(json, rel.columns[i], known(cells, before, i));
    }
    return json;
}

std::string object(const model::relation& rel, columns which, const model::row& cells, const model::row& before = {}) {
    return open_object(rel, which, cells, before) + '}';
}

bool has_key(const model::relation& rel) {
    return rel.identity == model::replica_identity::primary_key || rel.identity == model::replica_identity::index;
}

// The server sends the old key with an UPDATE that leaves it as it was, too, if it is TOASTed.
bool changes_key(const model::row_change& change) {
    if (change.operation != model::row_operation::update || change.before_kind != model::before_image::key)
        return false;
    const auto& all = change.rel->columns;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (all[i].key && known(change.after, change.before, i) != change.before[i]) return true;
    return false;
}

struct writer {
    const model::change_event& event;
    const envelope_source& from;
    milliseconds now;

    std::string source(const model::table_name& table, std::size_t part) const {
        const auto at = event.commit_time.time_since_epoch();
        std::string json = "{\"version\":";
        append_json_string(json, from.version);
        json += ",\"connector\":\"postgresql\",\"name\":";
        append_json_string(json, from.name);
        json += ",\"ts_ms\":" + std::to_string(std::chrono::floor<milliseconds>(at).count()) +
                ",\"ts_us\":" + std::to_string(at.count()) + ",\"snapshot\":\"false\",\"db\":";
        append_json_string(json, from.database);
        json += ",\"schema\":";
        append_json_string(json, table.schema);
        json += ",\"table\":";
        append_json_string(json, table.name);
        json += ",\"txId\":" + (event.xid == 0 ? "null" : std::to_string(event.xid)) +
                ",\"lsn\":" + std::to_string(event.at.commit_lsn.value) +
                ",\"timeline\":" + std::to_string(event.at.timeline) +
                ",\"ordinal\":" + std::to_string(event.at.ordinal) + ",\"part\":" + std::to_string(part) +
                ",\"position\":";
        append_json_string(json, model::to_string(event.at));
        json += '}';
        return json;
    }

    bool compactable() const { return from.keys == envelope_keys::compactable; }
    std::string with_table(std::string json, const model::table_name& table) const {
        append_name(json, table_field);
        append_json_string(json, from.name + '.' + to_string(table));
        return json + '}';
    }
    // Of a row; the image before the change knows what the one after it lacks.
    std::string key(const model::relation& rel, const model::row& cells, const model::row& older = {}) const {
        if (!compactable()) return has_key(rel) ? object(rel, columns::key, cells, older) : std::string{};
        if (has_key(rel)) return with_table(open_object(rel, columns::key, cells, older), rel.table);
        // One that comes once: nothing takes its place.
        std::string json = "{";
        append_name(json, "position");
        append_json_string(json, model::to_string(event.at));
        return with_table(std::move(json), rel.table);
    }
    // A deleted row, and behind it its tombstone.
    std::vector<envelope> removed(const model::relation& rel, const model::row& before) const {
        std::vector<envelope> made{row(rel, 'd', key(rel, before), object(rel, columns::all, before), "null")};
        if (compactable() && has_key(rel)) made.push_back({made.front().table, made.front().key, {}});
        return made;
    }

    std::string tail(const model::table_name& table, char op, std::size_t part) const {
        return "\"source\":" + source(table, part) + ",\"op\":\"" + op + "\",\"ts_ms\":" + std::to_string(now.count()) +
               '}';
    }

    envelope row(const model::relation& rel, char op, const std::string& key, const std::string& before,
                 const std::string& after, std::size_t part = 0) const {
        return {to_string(rel.table), key,
                "{\"before\":" + before + ",\"after\":" + after + ',' + tail(rel.table, op, part)};
    }

    std::vector<envelope> operator()(const model::row_change& change) const {
        const auto& rel = *change.rel;
        if (model::is_sentinel(rel.table)) return {};  // nor is this news
        const std::string none = "null";
        const auto after = [&] { return object(rel, columns::all, change.after, change.before); };
        switch (change.operation) {
            case model::row_operation::insert:
                return {row(rel, 'c', key(rel, change.after), none, after())};
            case model::row_operation::remove:
                return removed(rel, change.before);
            case model::row_operation::update:
                break;
        }
        if (changes_key(change)) {
            auto made = removed(rel, change.before);
            made.push_back(row(rel, 'c', key(rel, change.after, change.before), none, after(), 1));
            return made;
        }
        const bool whole = change.before_kind == model::before_image::whole;
        return {row(rel, 'u', key(rel, change.after, change.before),
                    whole ? object(rel, columns::all, change.before) : none, after())};
    }

    std::vector<envelope> operator()(const model::truncate& change) const {
        std::vector<envelope> all;
        for (const auto& rel : change.relations)
            all.push_back(row(*rel, 't', compactable() ? with_table("{", rel->table) : std::string{}, "null", "null",
                              all.size()));
        return all;
    }

    std::vector<envelope> operator()(const model::logical_message& message) const {
        if (message.prefix == model::telling_prefix) return {};  // of a proxy, and no news to anybody else
        // Whoever may write messages to legacy's WAL is not to have everybody begin anew.
        if (message.prefix == resync_prefix && event.at.ordinal != 0) return {};
        envelope made;
        std::string prefix;
        append_json_string(prefix, message.prefix);
        made.key = "{\"prefix\":" + prefix;
        if (compactable()) {
            append_name(made.key, "position");
            append_json_string(made.key, model::to_string(event.at));
        }
        made.key += '}';
        made.value = "{\"message\":{\"prefix\":" + prefix + ",\"content\":";
        append_json_base64(made.value, message.content);
        made.value += "}," + tail({}, 'm', 0);
        return {std::move(made)};
    }

    std::vector<envelope> operator()(const model::heartbeat&) const { return {}; }
};

}  // namespace

std::vector<envelope> envelopes(const model::change_event& event, const envelope_source& source,
                                std::chrono::sys_time<milliseconds> now) {
    return std::visit(writer{event, source, now.time_since_epoch()}, event.body);
}

}  // namespace crossfade::events
