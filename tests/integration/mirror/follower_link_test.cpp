#include "proxy/mirror/follower_link.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "lib/store/schema.hpp"
#include "proxy/mirror/catalog_reader.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/postgres.hpp"

namespace crossfade::proxy::mirror {
namespace {

using state = follower_link::state;
using change = mirrored_row::change;

class a_follower_link : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        const auto files = authority_.issue("localhost", "DNS:localhost");
        cluster_ = std::make_unique<support::postgres_cluster>(support::postgres_options{
            .extra_settings = {"ssl=on", "ssl_cert_file=" + files.cert, "ssl_key_file=" + files.key}});
        cluster_->start();
        cluster_->exec(std::string{store::schema_sql()});
        cluster_->exec("CREATE TABLE public.t (id int PRIMARY KEY, note text)");
        cluster_->exec("CREATE TABLE public.tied (id int PRIMARY KEY, note text, at timestamptz UNIQUE)");
        cluster_->exec("CREATE PUBLICATION all_of_it");
    }
    static void TearDownTestSuite() { cluster_.reset(); }

    a_follower_link() {
        cluster_->exec("TRUNCATE public.t, crossfade.receipts");
        link_ = follower_link::open({.dsn = cluster_->dsn(), .stream = "s"}).value();
        auto table = std::make_shared<table_facts>();
        table->name = {"public", "t"};
        table->columns = {{.name = "id", .key = true}, {.name = "note"}};
        write_row_sql(*table, 1);
        table_ = std::move(table);
    }

    mirrored_row row(change what, int id, const std::string& note) const {
        return {table_, what, {std::to_string(id), note}};
    }
    // What it comes to, when it is answered.
    state settled(state now) {
        while (now == state::busy) {
            pollfd socket{link_->socket(), POLLIN, 0};
            if (poll(&socket, 1, 10'000) != 1) break;
            now = link_->look();
        }
        return now;
    }
    void mirror(const mirrored_transaction& what) {
        EXPECT_EQ(settled(link_->write(what)), state::done) << pgclient::to_string(link_->why());
        EXPECT_EQ(settled(link_->commit()), state::done) << pgclient::to_string(link_->why());
    }
    static std::string rows() {
        return cluster_->value("SELECT string_agg(id || note, ' ' ORDER BY id) FROM public.t");
    }
    static std::string receipts() {
        return cluster_->value("SELECT string_agg(xid::text, ' ' ORDER BY xid) FROM crossfade.receipts");
    }

    static inline support::certificate_authority authority_{"follower"};
    static inline std::unique_ptr<support::postgres_cluster> cluster_;
    std::unique_ptr<follower_link> link_;
    std::shared_ptr<const table_facts> table_;
};

// Each piece is answered by a TLS record of its own, and an event loop is told once of both.
TEST_F(a_follower_link, takes_all_answers_that_have_come_when_it_is_told_once) {
    for (const char* tls : {"disable", "require"}) {
        link_ = follower_link::open({.dsn = cluster_->dsn() + "?sslmode=" + tls, .stream = "s"}).value();
        mirrored_transaction what{9, {}};
        for (int id = 1; id <= 700; ++id) {
            what.rows.push_back(row(change::insert, id, "a"));
            if (id == 16) {
                ASSERT_EQ(link_->send_ahead(what), state::busy);
            }
        }
        ASSERT_EQ(link_->send_ahead(what), state::busy);
        while (link_->wants_room()) ASSERT_NE(link_->look(), state::failed);
        ASSERT_TRUE(support::eventually(std::chrono::seconds{10}, [&] {
            return cluster_->value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossfade-mirror s'"
                       " AND backend_xid IS NOT NULL AND wait_event = 'ClientRead'") == "1";
        }));
        EXPECT_EQ(link_->look(), state::done) << tls;
        EXPECT_TRUE(link_->roll_back());
        EXPECT_EQ(settled(state::busy), state::done);
        link_.reset();
    }
}

TEST_F(a_follower_link, writes_rows_ahead_and_the_rest_behind_them) {
    mirrored_transaction what{7, {row(change::insert, 1, "a")}};
    EXPECT_EQ(settled(link_->send_ahead(what)), state::done);
    EXPECT_EQ(rows(), "") << "it isn't committed";
    what.rows.push_back(row(change::update, 1, "b"));
    what.rows.push_back(row(change::insert, 2, "c"));
    mirror(what);
    EXPECT_EQ(rows(), "1b 2c");

    // All of them are there: nothing is to be waited for before the commit.
    const mirrored_transaction all{8, {row(change::remove, 2, "")}};
    EXPECT_EQ(settled(link_->send_ahead(all)), state::done);
    EXPECT_EQ(link_->write(all), state::done);
    EXPECT_EQ(settled(link_->commit()), state::done);
    EXPECT_EQ(rows(), "1b");
    EXPECT_EQ(receipts(), "7 8");
}

TEST_F(a_follower_link, is_good_for_the_next_behind_rows_that_were_refused) {
    mirror({7, {row(change::insert, 1, "a")}});
    EXPECT_EQ(settled(link_->send_ahead({8, {row(change::insert, 2, "b"), row(change::insert, 1, "twice")}})),
              state::failed);
    EXPECT_EQ(link_->why().sqlstate, "23505");
    EXPECT_TRUE(link_->roll_back());
    mirror({9, {row(change::insert, 3, "c")}});
    EXPECT_EQ(rows(), "1a 3c");
    EXPECT_EQ(receipts(), "7 9");
}

// Whose answers are still to come, and are the next one's affair in no way.
TEST_F(a_follower_link, is_good_for_the_next_behind_rows_that_are_given_up) {
    mirror({7, {row(change::insert, 1, "a")}});
    EXPECT_EQ(link_->send_ahead({8, {row(change::update, 1, "b")}}), state::busy);
    EXPECT_TRUE(link_->roll_back());
    mirror({9, {row(change::insert, 2, "c")}});

    EXPECT_EQ(link_->send_ahead({10, {row(change::insert, 1, "twice"), row(change::update, 2, "d")}}), state::busy);
    EXPECT_TRUE(link_->roll_back());
    mirror({11, {row(change::insert, 3, "e")}});

    auto other = pgclient::connection::open(cluster_->dsn(), {}).value();
    other.exec("BEGIN; SELECT FROM public.t WHERE id = 1 FOR UPDATE").value();
    EXPECT_EQ(link_->send_ahead({12, {row(change::update, 1, "f")}}), state::busy);
    EXPECT_TRUE(link_->roll_back());
    mirror({13, {row(change::update, 2, "g")}});
    EXPECT_EQ(rows(), "1a 2g 3e");
    EXPECT_EQ(receipts(), "7 9 11 13");
}

TEST_F(a_follower_link, says_over_which_table_s_rows_it_stumbled) {
    mirror({7, {row(change::insert, 1, "a")}});
    EXPECT_EQ(link_->tables(), std::vector{table_->oid});
    EXPECT_EQ(settled(link_->write({8, {row(change::insert, 1, "twice")}})), state::failed);
    EXPECT_EQ(link_->stumbled_over(), table_.get());
    EXPECT_EQ(link_->at_fault(), nullptr) << "a row's matter";
    EXPECT_TRUE(link_->roll_back());
    // Which shows before there is a row: when its statement is prepared.
    auto facts = *table_;
    facts.oid = 9;
    facts.columns[1].name = "gone";
    write_row_sql(facts, 99);
    const auto other = std::make_shared<const table_facts>(std::move(facts));
    auto of_other = row(change::insert, 2, "b");
    of_other.table = other;
    EXPECT_EQ(settled(link_->write({9, {row(change::insert, 3, "c"), of_other}})), state::failed);
    EXPECT_EQ(link_->why().sqlstate, "42703");
    EXPECT_EQ(link_->stumbled_over(), other.get());
    EXPECT_EQ(link_->at_fault(), other.get());
    EXPECT_EQ(link_->tables(), (std::vector{table_->oid, other->oid}));
    EXPECT_TRUE(link_->roll_back());
    mirror({10, {row(change::insert, 3, "c")}});
    EXPECT_EQ(rows(), "1a 3c");
}

// Modern may have been started anew since it was used last.
TEST_F(a_follower_link, knows_that_the_server_has_ended_it) {
    mirror({7, {row(change::insert, 1, "a")}});
    EXPECT_TRUE(link_->lives());
    EXPECT_EQ(link_->send_ahead({8, {row(change::update, 1, "b")}}), state::busy);
    EXPECT_TRUE(link_->roll_back());
    EXPECT_TRUE(link_->lives()) << "with answers on their way";
    mirror({9, {row(change::insert, 2, "b")}});

    cluster_->exec(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'crossfade-mirror s'");
    EXPECT_TRUE(support::eventually(std::chrono::seconds{10}, [&] { return !link_->lives(); }));
}

// A row whose ties are others there is as good as none, and says so, where its statement may have changed them.
TEST_F(a_follower_link, writes_no_row_over_other_ties) {
    table_facts facts;
    facts.name = {"public", "tied"};
    facts.tied = true;
    facts.columns = {{.name = "id", .key = true},
                     {.name = "note"},
                     {.name = "at", .tied = true, .type = "timestamp with time zone"}};
    write_row_sql(facts, 2);
    const auto table = std::make_shared<const table_facts>(facts);
    cluster_->exec(
        "TRUNCATE public.tied; INSERT INTO public.tied VALUES (1, 'a', '2024-01-01 12:00+00'), (2, 'a', NULL)");
    const auto update = [&](const char* id, const char* note, std::optional<std::string> at, bool sets) {
        return mirrored_row{table, change::update, {id, note, std::move(at)}, sets};
    };
    mirror({7, {update("1", "b", "2024-01-01 14:00+02", true), update("2", "b", {}, false)}});
    EXPECT_EQ(cluster_->value("SELECT string_agg(note, ' ') FROM public.tied"), "b b");

    for (const bool sets : {true, false}) {
        EXPECT_EQ(settled(link_->write({8, {update("1", "c", "2024-01-01 15:00+02", sets)}})), state::failed);
        EXPECT_EQ(link_->why().sqlstate, "02000");
        EXPECT_EQ(link_->lacks_ties(), sets);
        EXPECT_TRUE(link_->roll_back());
        EXPECT_FALSE(link_->lacks_ties());
    }
    EXPECT_EQ(settled(link_->write({9, {update("2", "c", "2024-01-01 15:00+02", true)}})), state::failed);
    EXPECT_TRUE(link_->roll_back());
    EXPECT_EQ(cluster_->value("SELECT string_agg(note, ' ') FROM public.tied"), "b b");
}

// By what the catalogs say of a table, which is the same one on both sides here.
class a_follower_link_to_a_table : public a_follower_link {
  protected:
    void make(const std::string& name, const std::string& columns, const std::string& before = {}) {
        name_ = name;
        cluster_->exec("SET search_path = public; " + before + "CREATE TABLE " + name + " (" + columns + ");" +
                       "ALTER PUBLICATION all_of_it ADD TABLE " + name);
        read();
    }
    void read() {
        auto legacy = pgclient::connection::open(cluster_->dsn(), {}).value();
        auto modern = pgclient::connection::open(cluster_->dsn(), {}).value();
        auto tables = read_tables(legacy, modern, "all_of_it", "s", true).value();
        const auto found = std::ranges::find_if(tables, [&](const auto& each) { return each.name.name == name_; });
        ASSERT_NE(found, tables.end());
        // As the keeper does.
        auto before = table_->oid == found->oid ? table_->columns : std::vector<table_facts::column>{};
        if (before == found->columns) return;
        write_row_sql(*found, ++serial_);
        table_ = std::make_shared<const table_facts>(*found);
    }
    state tried(change what, std::vector<std::optional<std::string>> values) {
        const auto now = settled(link_->write({++id_, {{table_, what, std::move(values)}}}));
        if (now == state::done) return settled(link_->commit());
        EXPECT_TRUE(link_->roll_back());
        return now;
    }
    std::string all() const {
        return cluster_->value("SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM public." + name_ + " t");
    }

    std::string name_;
    std::uint64_t serial_ = 100;
    store::source_xid id_ = 100;
};

// A prepared statement keeps the types of its parameters, whatever becomes of the columns.
TEST_F(a_follower_link_to_a_table, takes_values_for_what_the_columns_are_now) {
    make("typed", "id int PRIMARY KEY, r real, at date, n int, z timestamp");
    ASSERT_EQ(tried(change::insert, {"1", "0.25", "2024-01-01", "1", "2024-01-01 00:00:00"}), state::done);
    const auto before = table_->insert.name;
    cluster_->exec(
        "ALTER TABLE public.typed ALTER r TYPE double precision, ALTER at TYPE timestamp, ALTER n TYPE bigint,"
        " ALTER z TYPE timestamptz USING z AT TIME ZONE 'UTC'");
    read();
    EXPECT_NE(table_->insert.name, before);
    ASSERT_EQ(tried(change::insert, {"2", "0.1", "2024-01-01 12:30:00", "3000000000", "2024-01-01 12:00:00+02"}),
              state::done);
    EXPECT_EQ(cluster_->value("SELECT r || ' ' || at || ' ' || n || ' ' || (z AT TIME ZONE 'UTC') FROM public.typed"
                              " WHERE id = 2"),
              "0.1 2024-01-01 12:30:00 3000000000 2024-01-01 10:00:00");
}

// Our sessions look in pg_catalog alone.
TEST_F(a_follower_link_to_a_table, finds_rows_by_operators_of_extensions) {
    for (const auto* type : {"ltree", "citext"}) {
        make(std::string{"by_"} + type, std::string{"id "} + type + " PRIMARY KEY, note text",
             std::string{"CREATE EXTENSION "} + type + ';');
        ASSERT_EQ(tried(change::insert, {"a", "new"}), state::done);
        EXPECT_EQ(tried(change::update, {"a", "changed"}), state::done) << pgclient::to_string(link_->why());
        EXPECT_EQ(tried(change::put, {"a", "put"}), state::done);
        EXPECT_EQ(all(), "(a,put)");
        auto db = pgclient::connection::open(cluster_->dsn(), {}).value();
        const std::string where = table_->remove.text.substr(table_->remove.text.find("WHERE"));
        for (const std::string& sql :
             {"PREPARE q AS SELECT FROM public." + name_ + ' ' + where,
              std::string{"SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan"}})
            db.exec(sql).value();
        const auto plan = db.exec("EXPLAIN (COSTS OFF) EXECUTE q ('a')").value();
        std::string text;
        for (int i = 0; i < plan.size(); ++i) text += plan.text(i, 0);
        EXPECT_NE(text.find("Index Cond"), std::string::npos) << text;
        EXPECT_EQ(tried(change::remove, {"a", {}}), state::done);
        EXPECT_EQ(all(), "");
    }
}

// It is about the row of this key alone that the receipt tells.
TEST_F(a_follower_link_to_a_table, writes_no_row_of_an_equal_key) {
    struct equal {
        const char* type;
        const char* there;
        const char* other;
    };
    cluster_->exec(
        "CREATE COLLATION public.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)");
    int tables = 0;
    for (const auto& [type, there, other] : {equal{"numeric", "1.0", "1.00"}, equal{"interval", "1 day", "24:00:00"},
                                             equal{"text COLLATE public.any_case", "a", "A"}}) {
        make("equal" + std::to_string(++tables), std::string{"id "} + type + " PRIMARY KEY, note text");
        ASSERT_EQ(tried(change::insert, {there, "new"}), state::done) << type;
        for (const auto what : {change::update, change::put, change::remove}) {
            EXPECT_EQ(tried(what, {other, "wrong"}), state::failed) << type;
            if (what != change::remove) {
                EXPECT_EQ(tried(what, {there, "right"}), state::done) << type;
            }
        }
        EXPECT_EQ(cluster_->value("SELECT id || note FROM public." + name_), std::string{there} + "right");
        EXPECT_EQ(tried(change::remove, {there, {}}), state::done) << type;
    }
}

}  // namespace
}  // namespace crossfade::proxy::mirror
