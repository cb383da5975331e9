// Rows that a proxy has written of tables whose rows may be in each other's way (docs/adr/0033).
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <memory>

#include "tests/integration/stream/by_hand.hpp"
#include "tests/support/http.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

constexpr const char* schema = R"sql(
    CREATE TABLE seats (id int PRIMARY KEY, place text UNIQUE, note text);
    CREATE TABLE stays (id int PRIMARY KEY, days int4range, note text, EXCLUDE USING gist (days WITH &&));
    CREATE TABLE wide (id int PRIMARY KEY, place text UNIQUE, note text, much text);
    ALTER TABLE wide ALTER much SET STORAGE EXTERNAL;
)sql";

// Whatever is done to seats on modern, by whomever.
constexpr const char* history = R"sql(
    CREATE SCHEMA seen;
    CREATE TABLE seen.seats (seq bigserial, id int, place text, note text);
    CREATE FUNCTION seen.note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO seen.seats (id, place, note) VALUES (coalesce(NEW.id, OLD.id), NEW.place, NEW.note);
              RETURN NULL; END $$;
    CREATE TRIGGER seen AFTER INSERT OR UPDATE OR DELETE ON public.seats FOR EACH ROW EXECUTE FUNCTION seen.note();
    ALTER TABLE public.seats ENABLE ALWAYS TRIGGER seen;
)sql";

struct all_at_once {
    static constexpr const char* settings = "";
};
struct one_by_one {
    static constexpr const char* settings = ", batch_rows: 1";
};

// Batches of all that waits, or of one transaction each. Each test has rows of its own.
template <class Batches>
class ties : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        if (!support::kafka_broker::available()) return;
        world_ = std::make_unique<chaos::landscape>(
            chaos::landscape_options{.schema = schema, .cdc_settings = Batches::settings, .strategy = "mirror"});
        world_->modern.exec(history);
    }
    static void TearDownTestSuite() { world_.reset(); }
    void SetUp() override {
        if (!world_) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
        healed_ = metric("crossfade_mirror_healed_rows_total");
        retries_ = metric("crossfade_apply_retries_total");
    }

    // Both sides have these, and crossfade-cdc stands still.
    static void begin_with(const std::string& rows, const std::string& table = "seats") {
        world_->legacy.exec("INSERT INTO public." + table + " VALUES " + rows);
        ASSERT_EQ(world_->settle(30s), "") << world_->logs();
        world_->cdc.signal(SIGSTOP);
    }
    // Each a transaction, that the stream brings.
    static void legacy(const std::vector<std::string>& transactions) {
        for (const auto& each : transactions) world_->legacy.exec(each);
    }
    static void mirror(const std::string& sql, const std::string& id, const std::string& table = "seats") {
        mirrored{*world_, sql, sql, {id}, table}.commit();
    }
    static double metric(const std::string& name) {
        const auto value = support::sample_value(support::http_get(world_->cdc.admin_port(), "/metrics").body, name);
        return std::isnan(value) ? 0 : value;
    }
    void expect_quiet_end() {
        world_->cdc.signal(SIGCONT);
        EXPECT_EQ(world_->settle(30s), "") << world_->logs();
        EXPECT_TRUE(support::eventually(
            10s, [] { return world_->modern.value("SELECT count(*) FROM crossfade.receipts") == "0"; }));
        EXPECT_EQ(world_->complaints(), "");
        EXPECT_EQ(metric("crossfade_apply_retries_total"), retries_) << world_->cdc.log();
        EXPECT_EQ(metric("crossfade_mirror_healed_rows_total"), healed_);
        EXPECT_EQ(world_->modern.value("SELECT count(*) FROM crossfade.dead_letters"), "0");
    }
    // What became of the row on modern since it was there as it is on legacy, but for what came of itself.
    static std::string notes_of(int id) {
        return world_->modern.value(
            "SELECT string_agg(coalesce(note, '-'), ' ' ORDER BY seq) FROM (SELECT seq, note,"
            " lag(note) OVER (ORDER BY seq) IS DISTINCT FROM note AS news FROM seen.seats"
            " WHERE id = " +
            std::to_string(id) + ") AS s WHERE news");
    }

    static inline std::unique_ptr<chaos::landscape> world_;
    double healed_ = 0;
    double retries_ = 0;
};

using sizes = testing::Types<all_at_once, one_by_one>;
TYPED_TEST_SUITE(ties, sizes);

// The row that is ahead has its old place back, and another one was there in between.
TYPED_TEST(ties, are_not_taken_ahead_of_the_stream) {
    this->begin_with("(1, 'a', 'old'), (2, 'c', 'old')");
    this->legacy(
        {"UPDATE public.seats SET place = 'b' WHERE id = 1", "UPDATE public.seats SET place = 'a' WHERE id = 2",
         "UPDATE public.seats SET place = 'c' WHERE id = 2", "UPDATE public.seats SET place = 'a' WHERE id = 1"});
    this->mirror("UPDATE public.seats SET note = 'new' WHERE id = 1", "1");
    this->expect_quiet_end();
    EXPECT_EQ(this->notes_of(1), "old new") << "it is never taken back";
}

// It is the mirrored statement that brings it back.
TYPED_TEST(ties, are_what_the_follower_has_already) {
    this->begin_with("(11, 'a1', 'old'), (12, 'c1', 'old')");
    this->legacy({"UPDATE public.seats SET place = 'b1' WHERE id = 11",
                  "UPDATE public.seats SET place = 'a1' WHERE id = 12",
                  "UPDATE public.seats SET place = 'c1' WHERE id = 12"});
    this->mirror("UPDATE public.seats SET note = 'new', place = 'a1' WHERE id = 11", "11");
    this->expect_quiet_end();
    EXPECT_EQ(this->notes_of(11), "old new");
}

TYPED_TEST(ties, of_rows_that_are_swapped) {
    this->begin_with("(21, 'a2', 'old'), (22, 'b2', 'old')");
    const std::string swap =
        "BEGIN; UPDATE public.seats SET place = '-' || place WHERE id IN (21, 22);"
        "UPDATE public.seats SET place = CASE place WHEN '-a2' THEN 'b2' ELSE 'a2' END WHERE id IN (21, 22); COMMIT";
    this->legacy({swap, swap, swap, swap});
    this->mirror("UPDATE public.seats SET note = 'new' WHERE id = 21", "21");
    this->legacy({swap, swap});
    this->mirror("UPDATE public.seats SET note = 'new' WHERE id = 22", "22");
    this->legacy({swap});
    this->expect_quiet_end();
    EXPECT_EQ(this->notes_of(21), "old new");
    EXPECT_EQ(this->notes_of(22), "old new");
}

TYPED_TEST(ties, of_a_row_that_is_gone_ahead) {
    this->begin_with("(31, 'a3', 'old'), (32, 'c3', 'old')");
    this->legacy(
        {"UPDATE public.seats SET place = 'b3' WHERE id = 31", "UPDATE public.seats SET place = 'a3' WHERE id = 32"});
    this->mirror("DELETE FROM public.seats WHERE id = 31", "31");
    this->legacy({"INSERT INTO public.seats VALUES (31, 'b3', 'anew')"});
    this->expect_quiet_end();
    EXPECT_EQ(this->notes_of(31), "old - anew");
}

// A row is another one than its key says. In between something is to be written change by change.
TYPED_TEST(ties, of_a_row_that_was_gone_in_between) {
    this->begin_with("(41, 'a4', 'old'), (42, 'c4', 'old'), (43, 'e4', 'old'), (44, 'f4', 'old')");
    this->legacy(
        {"BEGIN; DELETE FROM public.seats WHERE id = 41; UPDATE public.seats SET place = 'g4' WHERE id = 43;"
         "UPDATE public.seats SET place = 'e4' WHERE id = 44; UPDATE public.seats SET place = 'f4' WHERE id = 43;"
         "COMMIT",
         "UPDATE public.seats SET place = 'a4' WHERE id = 42", "UPDATE public.seats SET place = 'c4' WHERE id = 42",
         "INSERT INTO public.seats VALUES (41, 'a4', 'second')"});
    this->mirror("UPDATE public.seats SET note = 'new' WHERE id = 41", "41");
    this->expect_quiet_end();
}

TYPED_TEST(ties, of_a_row_that_was_elsewhere_in_between) {
    this->begin_with("(51, 'a5', 'old'), (52, 'c5', 'old')");
    this->legacy({"UPDATE public.seats SET id = 59, place = 'b5' WHERE id = 51",
                  "UPDATE public.seats SET place = 'a5' WHERE id = 52",
                  "UPDATE public.seats SET place = 'c5' WHERE id = 52",
                  "UPDATE public.seats SET id = 51, place = 'a5' WHERE id = 59"});
    this->mirror("UPDATE public.seats SET note = 'new' WHERE id = 51", "51");
    this->expect_quiet_end();
}

TYPED_TEST(ties, of_a_row_that_came_back_and_is_gone_ahead) {
    this->begin_with("(61, 'a6', 'old'), (62, 'c6', 'old')");
    this->legacy({"DELETE FROM public.seats WHERE id = 61", "UPDATE public.seats SET place = 'a6' WHERE id = 62",
                  "UPDATE public.seats SET place = 'c6' WHERE id = 62",
                  "INSERT INTO public.seats VALUES (61, 'a6', 'second')"});
    this->mirror("DELETE FROM public.seats WHERE id = 61", "61");
    this->legacy({"UPDATE public.seats SET place = 'a6' WHERE id = 62"});
    this->expect_quiet_end();
}

TYPED_TEST(ties, of_rows_that_were_emptied_away) {
    this->begin_with("(71, int4range(1, 5), 'old'), (72, int4range(11, 15), 'old')", "stays");
    this->legacy({"TRUNCATE public.stays", "INSERT INTO public.stays VALUES (73, int4range(2, 7), 'between')",
                  "DELETE FROM public.stays", "INSERT INTO public.stays VALUES (71, int4range(1, 5), 'second')"});
    this->mirror("UPDATE public.stays SET note = 'new' WHERE id = 71", "71", "stays");
    this->expect_quiet_end();
}

TYPED_TEST(ties, of_an_exclusion) {
    this->begin_with("(81, int4range(101, 105), 'old'), (82, int4range(111, 115), 'old')", "stays");
    this->legacy({"UPDATE public.stays SET days = int4range(201, 205) WHERE id = 81",
                  "UPDATE public.stays SET days = int4range(99, 102) WHERE id = 82",
                  "UPDATE public.stays SET days = int4range(111, 115) WHERE id = 82",
                  "UPDATE public.stays SET days = int4range(101, 105) WHERE id = 81"});
    this->mirror("UPDATE public.stays SET note = 'new' WHERE id = 81", "81", "stays");
    this->expect_quiet_end();
}

// Nor does a row of which the stream tells a part.
TYPED_TEST(ties, of_a_row_that_is_known_in_part) {
    const std::string much(5000, 'x');
    this->begin_with("(91, 'a9', 'old', '" + much + "'), (92, 'c9', 'old', '')", "wide");
    this->legacy(
        {"UPDATE public.wide SET place = 'b9' WHERE id = 91", "UPDATE public.wide SET place = 'a9' WHERE id = 92",
         "UPDATE public.wide SET place = 'c9' WHERE id = 92", "UPDATE public.wide SET place = 'a9' WHERE id = 91"});
    this->mirror("UPDATE public.wide SET note = 'new' WHERE id = 91", "91", "wide");
    this->expect_quiet_end();
}

}  // namespace
}  // namespace crossfade
