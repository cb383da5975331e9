#include "tests/integration/apply/stream_script.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "lib/model/lsn.hpp"
#include "lib/store/schema.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"
#include "tests/support/ports.hpp"

namespace crossfade::cdc {

using model::before_image;
using model::row_operation;

relation_ptr table(const std::string& name, const std::vector<std::string>& columns, model::replica_identity identity) {
    auto made = std::make_shared<model::relation>();
    made->oid = static_cast<std::uint32_t>(std::hash<std::string>{}(name));
    made->table = {"public", name};
    made->identity = identity;
    for (auto column : columns) {
        const bool key = column.back() == '!';
        if (key) column.pop_back();
        made->columns.push_back({column, 25, -1, key || identity == model::replica_identity::full});
    }
    return made;
}

model::row row(const values& of) {
    model::row made;
    for (const auto& value : of) {
        if (value == "~") {
            made.push_back({model::cell_kind::null, ""});
        } else if (value == "?") {
            made.push_back({model::cell_kind::unchanged, ""});
        } else {
            made.push_back({model::cell_kind::text, value});
        }
    }
    return made;
}

namespace {

model::change_event change(const relation_ptr& rel, row_operation operation, const values* before,
                           const values* after) {
    model::row_change made;
    made.rel = rel;
    made.operation = operation;
    if (before != nullptr) {
        made.before_kind = rel->identity == model::replica_identity::full ? before_image::whole : before_image::key;
        made.before = row(*before);
    }
    if (after != nullptr) made.after = row(*after);
    model::change_event event;
    event.body = std::move(made);
    return event;
}

model::source_time now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

}  // namespace

model::change_event insert(const relation_ptr& rel, const values& after) {
    return change(rel, row_operation::insert, nullptr, &after);
}
model::change_event update(const relation_ptr& rel, const values& after) {
    return change(rel, row_operation::update, nullptr, &after);
}
model::change_event update(const relation_ptr& rel, const values& before, const values& after) {
    return change(rel, row_operation::update, &before, &after);
}
model::change_event remove(const relation_ptr& rel, const values& before) {
    return change(rel, row_operation::remove, &before, nullptr);
}
model::change_event truncate(const std::vector<relation_ptr>& relations) {
    model::change_event event;
    event.body = model::truncate{relations, false, false};
    return event;
}

publisher::publisher(const settings::kafka& config, std::string topic, std::uint64_t id, std::uint64_t start)
    : producer_(kafka::producer::open(config, 100000).value()),
      topic_(std::move(topic)),
      id_(id),
      end_(start),
      next_(start) {}

void publisher::send(model::change_event& event) {
    event.at.system_identifier = system;
    event.at.timeline = timeline;
    event.publisher = id_;
    if (!std::holds_alternative<model::heartbeat>(event.body)) event.commit_time = now();
    const auto bytes = events::encode(event, relations_);
    while (producer_.produce(topic_, 0, "", bytes, {}, sequence_).value() == kafka::producer::outcome::queue_full)
        flush();
    ++sequence_;
}

std::uint64_t publisher::commit(std::vector<model::change_event> events) {
    const auto commit_lsn = next_;
    const auto ends = next_ + 0x100;
    for (std::size_t i = 0; i < events.size(); ++i) {
        auto& event = events[i];
        event.at.commit_lsn = model::lsn{commit_lsn};
        event.at.ordinal = i + 1;
        if (i == 0) event.previous = model::lsn{end_};
        event.last = i + 1 == events.size();
        if (event.last) event.end_lsn = model::lsn{ends};
        event.xid = 1;
        send(event);
    }
    end_ = next_ = ends;
    return commit_lsn;
}

void publisher::cut_off(std::vector<model::change_event> events, std::size_t most) {
    for (std::size_t i = 0; i < most; ++i) {
        auto& event = events[i];
        event.at.commit_lsn = model::lsn{next_};
        event.at.ordinal = i + 1;
        if (i == 0) event.previous = model::lsn{end_};
        send(event);
    }
}

void publisher::heartbeat() {
    heartbeat(now());
}

void publisher::heartbeat(model::source_time emitted_at) {
    model::change_event event;
    event.body = model::heartbeat{emitted_at};
    event.commit_time = emitted_at;
    event.at.commit_lsn = model::lsn{next_ + 0xff};
    event.previous = model::lsn{end_};
    event.last = true;
    end_ = next_ = next_ + 0x100;
    event.end_lsn = model::lsn{end_};
    send(event);
}

void publisher::flush() {
    while (producer_.unacknowledged() > 0) {
        for (const auto& each : producer_.poll(std::chrono::milliseconds{100}).value()) {
            if (!each.acknowledged) throw std::runtime_error("not delivered: " + kafka::to_string(each.error));
        }
    }
}

support::postgres_cluster& stream_fixture::modern() {
    static auto& cluster = [&]() -> support::postgres_cluster& {
        static support::postgres_cluster made{{.extra_settings = {"track_commit_timestamp=on"}}};
        made.start();
        return made;
    }();
    return cluster;
}

stream_fixture::stream_fixture(const std::string& ddl, const std::string& more_yaml,
                               std::vector<std::pair<std::string, std::string>> environment, std::string real_brokers)
    : kafka(std::make_unique<support::mock_kafka>()),
      brokers_(real_brokers.empty() ? kafka->brokers() : real_brokers),
      admin_port_(support::free_port()),
      more_yaml_(more_yaml) {
    static int databases = 0;
    dbname_ = "follower" + std::to_string(++databases);
    modern().exec("CREATE DATABASE " + dbname_);
    // Before the stream begins: rows that the test puts there are of the first copy.
    exec(ddl);
    exec(std::string{store::schema_sql()});
    exec(
        "INSERT INTO crossfade.progress (stream, topic, partition, next_offset, system_identifier, timeline, "
        "commit_lsn,"
        " end_lsn) VALUES ('app', 'crossfade.app.changes', 0, 0, 7, 1, '0/1000000', '0/1000000')");
    if (real_brokers.empty()) kafka->create_topic("crossfade.app.changes", 1);
    kafka->create_topic("crossfade.app.deadletters", 1);
    cdc = std::make_unique<support::crossfade_program>("crossfade-cdc", yaml(), admin_port_, std::move(environment));
}

std::string stream_fixture::yaml(const std::string& flags) const {
    const auto dsn = modern().dsn(dbname_);
    return "legacy: { dsn: \"" + modern().dsn("app") + "\" }\nmodern: { dsn: \"" + dsn + "\" }\nkafka: { brokers: \"" +
           brokers_ + "\" }\nstream: { name: app, tables: [\"public.*\"] }\nproxy: { listen: \"127.0.0.1:6432\" }\n" +
           "cdc: { admin: \"127.0.0.1:" + std::to_string(admin_port_) + "\"" + more_yaml_ + " }\nflags: " + flags +
           "\n" + "tenants: { column: tenant_id }\n";
}

bool stream_fixture::applied(std::uint64_t end_lsn) {
    const auto sql = "SELECT end_lsn >= '" + model::to_string(model::lsn{end_lsn}) + "' FROM crossfade.progress";
    return support::eventually(std::chrono::seconds{20}, [&] { return one(sql) == "t"; });
}

std::string stream_fixture::status() const {
    return support::http_get(admin_port_, "/api/v1/status").body;
}

bool stream_fixture::in_state(const std::string& state) {
    return support::eventually(std::chrono::seconds{20}, [&] {
        return status().find("\"state\":\"" + state + "\",\"reason\"") != std::string::npos;
    });
}

std::string stream_fixture::metric(const std::string& line_start) const {
    const auto body = support::http_get(admin_port_, "/metrics").body;
    const auto at = body.find("\n" + line_start);
    if (at == std::string::npos) return "";
    const auto line = body.substr(at + 1, body.find('\n', at + 1) - at - 1);
    return line.substr(line.rfind(' ') + 1);
}

std::string stream_fixture::all(const std::string& sql) const {
    std::string text;
    for (const auto& each : modern().exec(sql, dbname_)) {
        if (!text.empty()) text += ';';
        for (std::size_t i = 0; i < each.size(); ++i) text += (i == 0 ? "" : "|") + each[i];
    }
    return text;
}

}  // namespace crossfade::cdc
