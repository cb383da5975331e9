#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/settings/load.hpp"
#include "proxy/frontend/escort.hpp"

// An escort between a client and a server that a test speaks for.
namespace crossfade::proxy::frontend {

using pgwire::framed;
using errand = escort::errand;

// The server's messages.
inline const std::string parsed = framed('1', {});
inline const std::string bound = framed('2', {});
inline const std::string closed = framed('3', {});
inline std::string ready(char status) {
    return framed('Z', {&status, 1});
}
inline std::string complete(const std::string& tag) {
    return framed('C', tag + '\0');
}
inline std::string row(const std::vector<std::string>& values) {
    std::string body;
    pgwire::put_u16(body, static_cast<std::uint16_t>(values.size()));
    for (const auto& value : values) {
        pgwire::put_u32(body, static_cast<std::uint32_t>(value.size()));
        body += value;
    }
    return framed('D', body);
}
inline std::string columns(const std::vector<std::string>& names) {
    std::string body;
    pgwire::put_u16(body, static_cast<std::uint16_t>(names.size()));
    for (const auto& name : names) {
        pgwire::put_cstring(body, name);
        body += std::string(18, 'x');
    }
    return framed('T', body);
}
inline std::string error(const std::string& position) {
    return framed('E', std::string("SERROR\0C42703\0P", 15) + position + std::string(2, '\0'));
}
inline std::string hidden(const std::string& fields, const std::string& transaction = "90",
                          const std::string& in = "7") {
    return "(" + transaction + ',' + in + ",\"UTF8/1/postgres/ISO, MDY/hex/on/UTC\"," + fields + ')';
}

struct books : mirror::ledger {
    std::shared_ptr<const mirror::catalog> known;
    std::shared_ptr<const mirror::write_targets> by_name;
    int mirrored = 0;
    int looked = 0;
    std::vector<model::table_name> doubted;
    std::vector<mirror::leave_reason> streamed;
    std::vector<mirror::leave_reason> failed;

    std::shared_ptr<const mirror::catalog> tables() const override { return known; }
    std::shared_ptr<const mirror::write_targets> targets() const override { return by_name; }
    void look_again(const std::vector<model::table_name>& at) override {
        ++looked;
        doubted = at;
    }
    void count_mirrored() override { ++mirrored; }
    void count_streamed(mirror::leave_reason why) override { streamed.push_back(why); }
    void count_failed(mirror::leave_reason why) override { failed.push_back(why); }
};

class an_escort : public testing::Test {
  protected:
    an_escort() {
        know(facts());
        tracker_.on_backend('Z', "I");
    }

    static mirror::table_facts facts() {
        mirror::table_facts table;
        table.oid = 7;
        table.name = {"public", "t"};
        table.columns = {{.name = "id", .key = true}, {.name = "note"}};
        table.readers = {"app"};
        return table;
    }
    void know(mirror::table_facts table) { know_all({std::move(table)}); }
    void know_all(std::vector<mirror::table_facts> tables, const mirror::catalog::rests_until& resting = {}) {
        std::map<std::uint32_t, std::shared_ptr<const mirror::table_facts>> by_oid;
        for (auto& each : tables) {
            write_row_sql(each, each.oid);
            const auto oid = each.oid;
            by_oid.emplace(oid, std::make_shared<const mirror::table_facts>(std::move(each)));
        }
        books_.known = std::make_shared<const mirror::catalog>(by_oid, resting);
    }
    // Whose rows may be in each other's way by their notes.
    void know_ties() {
        auto table = facts();
        table.tied = table.columns[1].tied = true;
        table.columns[1].type = "text";
        know(std::move(table));
    }
    // What goes to the server of it; what is held, or wants to be seen whole, waits.
    std::string say(const std::string& bytes) {
        waiting_ += bytes;
        std::string sent;
        while (!waiting_.empty()) {
            const auto step = escort_.on_client(waiting_, {flags_, {}, tracker_, {true, true}, away_});
            using action = escort::client_step::action;
            if (step.what == action::hold || step.what == action::more) break;
            const auto taken = waiting_.substr(0, step.bytes);
            waiting_.erase(0, step.bytes);
            if (step.what == action::pass) {
                sent += taken;
                tracker_.on_frontend(taken.front());
            } else {
                sent += step.instead;
                for (const char type : step.types) tracker_.on_frontend(type);
            }
        }
        return sent;
    }
    // What the client is told of it.
    std::string hear(const std::string& bytes) {
        for (std::size_t at = 0; at < bytes.size();) {
            const auto size = 1 + pgwire::byte_reader{std::string_view{bytes}.substr(at + 1)}.u32();
            tracker_.on_backend(bytes[at], std::string_view{bytes}.substr(at + 5, size - 5));
            at += size;
        }
        std::string told;
        for (std::size_t at = 0; at < bytes.size(); at += piece_) {
            const auto some = std::string_view{bytes}.substr(at, piece_);
            const auto changed = escort_.from_server(some);
            told += changed ? *changed : some;
        }
        if (tracker_.quiet()) escort_.nothing_is_due(tracker_.idle());
        return told;
    }
    // Simple queries, and their answers where that is all there is to be said of them.
    void did(const std::string& sql, const std::string& tag, char status = 'T') {
        say(pgwire::build_query(sql));
        hear(complete(tag) + ready(status));
    }
    void begin() { did("BEGIN", "BEGIN"); }
    void insert(const std::string& id = "1") {
        say(pgwire::build_query("INSERT INTO t VALUES (" + id + ")"));
        hear(columns({"row"}) + row({hidden(id + ",")}) + complete("INSERT 0 1") + ready('T'));
    }
    // Whether it is by a Sync.
    bool go_on(std::optional<mirror::leave_reason> why = {}) {
        const auto [bytes, types] = escort_.go_on(why, away_);
        for (const char type : types) tracker_.on_frontend(type);
        ahead_ = bytes;
        return !bytes.empty();
    }
    static std::string rewritten(const std::string& front, const std::string& back = {}) {
        return back.empty() ? front + " RETURNING " + mirror::hidden_column("\"t\"")
                            : front + " RETURNING  " + mirror::hidden_column("\"t\"") + "," + back;
    }

    static settings::configuration with_flags(const std::string& flags) {
        return settings::parse(
                   "legacy: { dsn: \"host=a dbname=x\" }\nmodern: { dsn: \"host=b dbname=x\" }\n"
                   "kafka: { brokers: \"k:9092\" }\nstream: { name: app, tables: [\"public.*\"] }\n"
                   "flags: { " +
                       flags + " }\n",
                   "f.yaml", [](std::string_view) { return std::nullopt; })
            .value();
    }

    books books_;
    portrait::notebook notes_{{}};
    settings::in_force flags_{with_flags("dual_write_strategy: mirror"), 1};
    pgwire::session_tracker tracker_;
    escort escort_{books_, notes_, "app"};
    std::string waiting_;
    bool away_ = false;
    std::string ahead_;  // what go_on() sent
    std::size_t piece_ = 1'000'000;
};

}  // namespace crossfade::proxy::frontend
