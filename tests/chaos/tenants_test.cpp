// Tenants go over to the other database and back, each by itself, under load: no client may see an error, no row be
// lost or there twice, no row be taken on a side that isn't its tenant's. CROSSFADE_CHAOS_FLIPS is how often.
#include <gmock/gmock.h>

#include <array>
#include <boost/json.hpp>
#include <iostream>
#include <map>
#include <memory>
#include <random>

#include "lib/pgclient/connection.hpp"
#include "lib/store/authority.hpp"
#include "tests/chaos/client.hpp"
#include "tests/chaos/crowd.hpp"
#include "tests/chaos/flipping.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

constexpr std::array names{"acme", "zeta", "o'neil, \"inc\""};
constexpr unsigned proxies = 2;

constexpr const char* schema =
    "CREATE TABLE bills (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text NOT NULL, tag text NOT NULL,"
    " port int DEFAULT inet_server_port(), taken_at timestamptz DEFAULT clock_timestamp(), UNIQUE (tenant, tag));"
    "CREATE TABLE entries (id serial PRIMARY KEY, tenant text NOT NULL, bill bigint NOT NULL REFERENCES bills,"
    " amount int NOT NULL DEFAULT 1) ;"
    "CREATE TABLE totals (tenant text, day int, sum bigint NOT NULL, PRIMARY KEY (tenant, day)) PARTITION BY LIST "
    "(day);"
    "CREATE TABLE totals_0 PARTITION OF totals FOR VALUES IN (0);"
    "CREATE TABLE totals_1 PARTITION OF totals FOR VALUES IN (1)";
constexpr const char* tags = "SELECT tag, count(*) FROM bills GROUP BY 1";

// As libpq's options and PostgreSQL's take it.
std::string session_of(const std::string& dsn, const std::string& tenant) {
    std::string escaped;
    for (const char each : tenant) {
        if (each == ' ' || each == '\\') escaped += '\\';
        escaped += each;
    }
    std::string encoded;
    for (const char each : "-c app.tenant=" + escaped) {
        constexpr const char* digits = "0123456789ABCDEF";
        const auto byte = static_cast<unsigned char>(each);
        encoded += '%';
        encoded += digits[byte / 16];
        encoded += digits[byte % 16];
    }
    return dsn + (dsn.find('?') == std::string::npos ? "?" : "&") + "options=" + encoded;
}

// A tenant's clients: a bill with its entries, the day's total, in a transaction; every other one comes anew each time.
class office : public crowd {
  public:
    office(const std::string& dsn, std::string tenant, std::string name)
        : crowd(session_of(dsn, tenant), 2, std::move(name)), tenant_(pgclient::quote_literal(tenant)) {}
    ~office() override { stop(); }

  private:
    void run(unsigned client) override {
        connection to;
        for (std::uint64_t sequence = 0; !stopping(); ++sequence) {
            if (!to) to = connect(dsn());
            if (!to) {
                ++errors_;
                pause_after_failure();
                continue;
            }
            const auto tag = this->tag(client, sequence);
            const auto day = std::to_string(sequence % 2);
            const std::vector<std::string> statements{
                "WITH b AS (INSERT INTO bills (tenant, tag) VALUES (" + tenant_ + ", '" + tag +
                    "') RETURNING id) INSERT INTO entries (tenant, bill) SELECT " + tenant_ +
                    ", id FROM b, generate_series(1, 3)",
                "INSERT INTO totals VALUES (" + tenant_ + ", " + day +
                    ", 3) ON CONFLICT (tenant, day) DO UPDATE SET sum = totals.sum + 3",
                "UPDATE entries SET amount = 2 WHERE tenant = " + tenant_ +
                    " AND id = (SELECT max(id) FROM entries"
                    " WHERE tenant = " +
                    tenant_ + " AND bill = (SELECT id FROM bills WHERE tenant = " + tenant_ + " AND tag = '" + tag +
                    "'))",
                "DELETE FROM entries WHERE tenant = " + tenant_ +
                    " AND id = (SELECT min(id) FROM entries"
                    " WHERE tenant = " +
                    tenant_ + " AND bill = (SELECT id FROM bills WHERE tenant = " + tenant_ + " AND tag = '" + tag +
                    "'))"};
            const auto [last, result] = transact(to.get(), statements);
            if (last == answer::done) {
                ++acknowledged_;
            } else {
                failed(tag, to.get());
            }
            knows(client, tag, result);
            pause_after_failure();
            if (client % 2 == 1 || last != answer::done) to.reset();
        }
    }

    const std::string tenant_;
};

landscape_options options() {
    // Each connection of a proxy that mirrors has a replication origin.
    const support::postgres_options server{.extra_settings = {"max_replication_slots=100"}};
    return {.schema = schema,
            .proxy_settings = ", connect_timeout: 30s",
            .strategy = "mirror",
            .scopes = "tenants: { session: \"parameter:app.tenant\", column: tenant }\n",
            .legacy = server,
            .modern = server,
            .both_ways = true,
            .more_proxies = proxies - 1};
}

class tenants : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
        world_ = std::make_unique<landscape>(options());
        ASSERT_EQ(in_the_way(*world_), "") << world_->logs();
    }
    landscape& world() { return *world_; }
    void flip(const std::string& tenant, const std::string& to) {
        std::vector<std::string> arguments{"flip", "--to", to, "--json", "--hold-max", "3000", "--wait", "120"};
        if (!tenant.empty()) arguments.insert(arguments.end(), {"--tenant", tenant});
        const auto flipped = world().crossfade(arguments);
        ASSERT_EQ(flipped.exit_code, 0) << flipped.output << flipped.errors << world().logs();
        const auto told = boost::json::parse(flipped.output).as_object();
        std::cout << (tenant.empty() ? "everything" : tenant) << " to " << to << ": "
                  << boost::json::serialize(told.at("steps_ms")) << '\n';
    }
    std::string refused(const support::postgres_cluster& on, const std::string& sql) {
        try {
            on.exec(sql);
            return {};
        } catch (const std::exception& why) {
            return why.what();
        }
    }

    // To every proxy's file.
    void write(const std::string& overrides) {
        for (unsigned each = 0; each < proxies; ++each) write(each, overrides);
    }
    void write(unsigned which, const std::string& overrides) {
        auto& proxy = world().proxy_at(which);
        auto text = support::read_file(proxy.config_path());
        const auto begin = text.find("tenants: {");
        const auto end = text.find('\n', begin);
        text.replace(begin, end - begin,
                     "tenants: { session: \"parameter:app.tenant\", column: tenant" + overrides + " }");
        proxy.configure(text);
    }
    bool has(const std::string& what) {
        return support::eventually(60s, [&] {
            return world().legacy.value("SELECT authority || apart || state FROM crossfade.authority") == what &&
                   world().modern.value("SELECT authority || apart || state FROM crossfade.authority") == what;
        });
    }
    bool says(unsigned which, const std::string& text) {
        return support::eventually(60s, [&] { return world().proxy_at(which).log().find(text) != std::string::npos; });
    }

  private:
    std::unique_ptr<landscape> world_;
};

const std::string to_modern = "{ flags: { dual_write_strategy: prefer-modern, hybrid_read_strategy: modern } }";

std::string on_modern(const std::string& tenant) {
    return "{\"group\": \"\", \"tenant\": \"" + tenant + "\", \"authority\": \"modern\"}";
}

TEST_F(tenants, change_hands_by_themselves_and_do_not_feel_it) {
    const auto times = support::configured("CROSSFADE_CHAOS_FLIPS", 5);
    std::vector<std::unique_ptr<office>> all;
    for (unsigned each = 0; each < names.size(); ++each)
        all.push_back(std::make_unique<office>(world().dsn_of_proxy(each % proxies), names[each],
                                               std::string(1, static_cast<char>('a' + each))));
    for (const auto& each : all) each->start();
    const auto acknowledged = [&] {
        std::uint64_t least = all.front()->acknowledged();
        for (const auto& each : all) least = std::min(least, each->acknowledged());
        return least;
    };
    const auto more = [&](std::uint64_t by) {
        const auto before = acknowledged();
        ASSERT_TRUE(support::eventually(60s, [&] { return acknowledged() >= before + by; })) << world().logs();
    };
    std::map<std::string, std::string> where;
    for (long each = 0; each < times && !HasFatalFailure(); ++each) {
        more(20);
        // Each of them away, then everything, which takes the rest along, and so on.
        const std::string name = each % 4 == 3 ? "" : names[static_cast<std::size_t>(each % 4)];
        const std::string to = (each / 4) % 2 == 0 ? "modern" : "legacy";
        flip(name, to);
    }
    more(20);
    std::string errors;
    for (const auto& each : all) {
        each->stop();
        if (each->errors() > 0) errors += each->first_error() + '\n';
    }
    EXPECT_EQ(errors, "") << world().logs();
    EXPECT_EQ(world().settle(60s), "") << world().logs();
    EXPECT_EQ(world().complaints(), "") << world().logs();
    for (const auto* side : {&world().legacy, &world().modern})
        for (const auto& each : all) expect_kept(each->ledger(), *side, tags);
    for (const std::string name : names) EXPECT_EQ(taken_on_the_wrong_side(world(), "bills", name), "") << name;
    // Both servers have taken some, or nothing of this was seen.
    EXPECT_EQ(world().modern.value("SELECT count(DISTINCT port) FROM bills"), "2");
}

// Every proxy takes the same file, one of them makes the flip, and what the file says no other of than before stays.
TEST_F(tenants, go_where_a_changed_file_says) {
    office acme{world().dsn_of_proxy(0), names[0], "f"};
    office zeta{world().dsn_of_proxy(1), names[1], "g"};
    acme.start();
    zeta.start();
    const auto moved = "legacy[" + on_modern("acme") + "]settled";
    const auto more = [&] {
        const auto before = std::pair{acme.acknowledged(), zeta.acknowledged()};
        ASSERT_TRUE(support::eventually(60s, [&] {
            return acme.acknowledged() >= before.first + 10 && zeta.acknowledged() >= before.second + 10;
        })) << world().logs();
    };
    more();
    write(", overrides: { acme: " + to_modern + " }");
    ASSERT_TRUE(has(moved)) << world().logs();
    more();
    // By command, and the file doesn't know of it.
    flip("zeta", "modern");
    write(", overrides: { acme: { flags: { dual_write_strategy: mirror } } }");
    ASSERT_TRUE(has("legacy[" + on_modern("zeta") + "]settled")) << world().logs();
    more();
    acme.stop();
    zeta.stop();
    EXPECT_EQ(acme.first_error() + zeta.first_error(), "") << world().logs();
    EXPECT_EQ(world().settle(60s), "") << world().logs();
    EXPECT_EQ(world().complaints(), "") << world().logs();
    // One flip each time, whoever else was asked.
    EXPECT_EQ(world().legacy.value(
                  "SELECT count(*) FROM crossfade.flips WHERE by_whom LIKE 'the file%' AND outcome = 'done'"),
              "1");
    EXPECT_EQ(world().modern.value(
                  "SELECT count(*) FROM crossfade.flips WHERE by_whom LIKE 'the file%' AND outcome = 'done'"),
              "1");
}

// While the first one waits for the end of a transaction the file is changed twice more.
TEST_F(tenants, go_where_the_file_said_before_its_last_change_too) {
    const auto open = connect(session_of(world().dsn_of_proxy(0), "acme"));
    ASSERT_EQ(execute(open.get(), "BEGIN; INSERT INTO bills (tenant, tag) VALUES ('acme', 'open')"), answer::done);
    const auto flip_lock = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = " +
                           std::to_string(store::handover_lock_class);
    std::string all;
    for (const std::string name : {"acme", "bravo", "charlie"}) {
        all += (all.empty() ? "" : ", ") + name + ": " + to_modern;
        write(", overrides: { " + all + " }");
        for (unsigned each = 0; each < proxies; ++each)
            ASSERT_TRUE(says(each, "tenants.overrides." + name)) << world().logs();
        ASSERT_TRUE(support::eventually(30s, [&] { return world().legacy.value(flip_lock) == "t"; })) << world().logs();
    }
    ASSERT_EQ(execute(open.get(), "COMMIT"), answer::done);
    EXPECT_TRUE(
        has("legacy[" + on_modern("acme") + ", " + on_modern("bravo") + ", " + on_modern("charlie") + "]settled"))
        << world().legacy.value("SELECT apart FROM crossfade.authority") << world().logs();
    EXPECT_EQ(world().settle(60s), "") << world().logs();
}

// One proxy has the file later than the other, and a command has decided otherwise by then.
TEST_F(tenants, go_once_for_each_change_of_the_file) {
    const auto acme = "acme: " + to_modern;
    const auto both = ", overrides: { " + acme + ", bravo: " + to_modern + " }";
    const std::string heeded = "; another proxy has heeded this file already";
    write(0, ", overrides: { " + acme + " }");
    ASSERT_TRUE(has("legacy[" + on_modern("acme") + "]settled")) << world().logs();
    flip("acme", "legacy");
    write(1, ", overrides: { " + acme + " }");
    EXPECT_TRUE(says(1, "by the file: modern for tenant acme: done, epoch 3" + heeded)) << world().logs();

    // Where there was nothing to be done any more it was heeded, too.
    flip("bravo", "modern");
    write(0, both);
    EXPECT_TRUE(says(0, "modern is the authority of tenant bravo already")) << world().logs();
    flip("bravo", "legacy");
    write(1, both);
    EXPECT_TRUE(says(1, "by the file: modern for tenant bravo: done, epoch 5" + heeded)) << world().logs();
    EXPECT_EQ(world().legacy.value("SELECT epoch || apart::text FROM crossfade.authority"), "5[]");

    // Said anew it is an order again.
    write(0, "");
    EXPECT_TRUE(says(0, "legacy is the authority of everything already")) << world().logs();
    write(1, "");
    EXPECT_TRUE(says(1, "by the file: legacy for everything: done")) << world().logs();
    write(both);
    EXPECT_TRUE(has("legacy[" + on_modern("acme") + ", " + on_modern("bravo") + "]settled")) << world().logs();
}

// crossfade-cdc heeds no file's word of who is the authority, and tells whose a row is by the file all the same.
TEST_F(tenants, stay_the_same_for_who_applies) {
    flip("acme", "modern");
    const auto says = [&](const std::string& what) {
        return support::eventually(30s, [&] { return world().cdc.log().find(what) != std::string::npos; });
    };
    auto text = support::read_file(world().cdc.config_path());
    const std::string column = "column: tenant";
    text.replace(text.find(column), column.size(), "column: tag");
    world().cdc.configure(text);
    EXPECT_TRUE(says("tenants.column: tenants have different authorities (legacy, modern of tenant acme)"))
        << world().logs();
    flip("", "legacy");
    world().cdc.signal(SIGHUP);
    EXPECT_TRUE(says("configuration applied (SIGHUP)")) << world().logs();
    EXPECT_TRUE(says("tenants.column: tenant -> tag")) << world().logs();
}

TEST_F(tenants, are_kept_apart_by_the_databases_themselves) {
    const auto insert = [](const std::string& tenant, const std::string& tag) {
        return "INSERT INTO bills (tenant, tag) VALUES ('" + tenant + "', '" + tag + "')";
    };
    flip("acme", "modern");
    EXPECT_THAT(refused(world().legacy, insert("acme", "1")), testing::HasSubstr("this row's tenant"));
    EXPECT_EQ(refused(world().legacy, insert("zeta", "2")), "");
    EXPECT_EQ(refused(world().modern, insert("acme", "3")), "");
    EXPECT_NE(refused(world().modern, insert("zeta", "4")), "");
    ASSERT_EQ(world().settle(60s), "") << world().logs();
    // A row that changes its tenant, by whichever of the two.
    EXPECT_NE(refused(world().legacy, "UPDATE bills SET tenant = 'acme' WHERE tag = '2'"), "");
    EXPECT_NE(refused(world().modern, "UPDATE bills SET tenant = 'zeta' WHERE tag = '3'"), "");
    EXPECT_NE(refused(world().legacy, "UPDATE bills SET tenant = 'zeta' WHERE tag = '3'"), "");
    EXPECT_NE(refused(world().legacy, "DELETE FROM bills WHERE tag = '3'"), "");
    for (const auto* side : {&world().legacy, &world().modern})
        EXPECT_THAT(refused(*side, "TRUNCATE totals"), testing::HasSubstr("some tenants"));
    // By name, too, a partition refuses what the whole does.
    EXPECT_NE(refused(world().legacy, "INSERT INTO totals_0 VALUES ('acme', 0, 1)"), "");
    EXPECT_EQ(refused(world().modern, "INSERT INTO totals_0 VALUES ('acme', 0, 1)"), "");
    // What either side draws the other never does.
    EXPECT_EQ(world().legacy.value("SELECT seqincrement FROM pg_sequence WHERE seqrelid = 'bills_id_seq'::regclass"),
              "2");
    EXPECT_EQ(world().settle(60s), "") << world().logs();

    flip("", "legacy");
    // Each is in the audit log of the side that decided it.
    const std::string entry = "SELECT scope || ': ' || outcome FROM crossfade.audit WHERE action = 'flip'";
    EXPECT_EQ(world().legacy.value(entry), "tenant acme to modern: done, epoch 2");
    EXPECT_EQ(world().modern.value(entry), "everything to legacy: done, epoch 3");
    EXPECT_EQ(world().crossfade({"audit", "verify"}).exit_code, 0);
    EXPECT_EQ(refused(world().legacy, insert("acme", "5")), "");
    EXPECT_NE(refused(world().modern, insert("acme", "6")), "");
    EXPECT_EQ(refused(world().legacy, "TRUNCATE totals"), "");
    for (const auto* side : {&world().legacy, &world().modern})
        EXPECT_EQ(side->value("SELECT seqincrement FROM pg_sequence WHERE seqrelid = 'bills_id_seq'::regclass"), "1");
    EXPECT_EQ(world().settle(60s), "") << world().logs();
    EXPECT_EQ(world().complaints(), "") << world().logs();
}

}  // namespace
}  // namespace crossfade::chaos
