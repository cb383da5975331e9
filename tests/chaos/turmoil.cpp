#include "tests/chaos/turmoil.hpp"

namespace crossfade::chaos {

namespace {

constexpr unsigned most_columns = 20;
constexpr const char* gid = "'crossfade_turmoil'";

}  // namespace

const char* turmoil::schema() {
    return "CREATE TABLE line (id bigint PRIMARY KEY, batch bigint NOT NULL, note text, filler text NOT NULL);"
           "CREATE INDEX ON line (batch);"
           "CREATE TABLE tally (what text, amount int);"
           "CREATE TABLE scratch (id int PRIMARY KEY, what text);"
           "CREATE TABLE parent (id int PRIMARY KEY);"
           "CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent ON DELETE CASCADE);"
           "CREATE TABLE happening (id bigint, year int, what text, PRIMARY KEY (id, year)) PARTITION BY LIST (year);"
           "CREATE TABLE happening_1 PARTITION OF happening FOR VALUES IN (1);"
           "CREATE TABLE happening_2 PARTITION OF happening FOR VALUES IN (2);";
}

turmoil::turmoil(std::string legacy, std::string modern, std::uint64_t first, std::chrono::milliseconds pause)
    : legacy_(std::move(legacy)), modern_(std::move(modern)), next_(first), pause_(pause) {}

turmoil::~turmoil() {
    stop();
}

void turmoil::start() {
    thread_ = std::thread{[this] { run(); }};
}

void turmoil::stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
}

std::string turmoil::last_refusal() const {
    return last_refusal_;
}

answer turmoil::all(PGconn* on, std::initializer_list<std::string> statements) {
    for (const auto& sql : statements) {
        const auto got = execute(on, sql);
        if (got == answer::done) continue;
        if (got == answer::refused) {
            last_refusal_ = sql.substr(0, 200) + ": " + PQerrorMessage(on);
            ++refused_;
        }
        if (got == answer::nothing) ++hung_;
        return got;
    }
    return answer::done;
}

// One that was left behind by a lost connection holds its locks until somebody decides.
answer turmoil::finish_prepared(PGconn* on) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> left{PQexec(on, "SELECT gid FROM pg_prepared_xacts"), PQclear};
    if (PQresultStatus(left.get()) != PGRES_TUPLES_OK) return answer::lost;
    if (PQntuples(left.get()) == 0) return answer::done;
    return all(on, {"COMMIT PREPARED " + std::string{gid}});
}

// On modern first: rows that know the column must find it there. Each is asked for until both have it.
answer turmoil::new_column(PGconn* on) {
    if (columns_ == most_columns) return answer::done;
    const auto number = std::to_string(columns_);
    const auto sql = "ALTER TABLE scratch ADD COLUMN IF NOT EXISTS c" + number + " int DEFAULT " + number;
    if (!to_modern_) to_modern_ = connect(modern_);
    if (!to_modern_) return answer::done;  // modern is away; the application has no part in that
    if (const auto got = execute(to_modern_.get(), sql); got != answer::done) {
        to_modern_.reset();
        return answer::done;
    }
    const auto got = all(on, {sql});
    if (got == answer::done) ++columns_;
    return got;
}

answer turmoil::one_round(PGconn* on) {
    const auto id = std::to_string(++next_);
    const auto first = std::to_string(next_ * 10'000);
    const auto lines = "INSERT INTO line SELECT " + first + " + i, " + id + ", NULL, repeat(md5(i::text), 6)" +
                       " FROM generate_series(1, 2000) i";
    switch (random_() % 11) {
        case 0:
            return all(on, {"BEGIN", lines, "UPDATE line SET note = 'changed' WHERE batch = " + id + " AND id % 2 = 0",
                            "DELETE FROM line WHERE batch = " + id + " AND id % 4 = 1",
                            "DELETE FROM line WHERE batch < " + id + " - 50", "COMMIT"});
        case 1:
            return all(on, {"BEGIN", lines, "ROLLBACK"});
        case 2:
            return all(on, {"INSERT INTO tally SELECT 'same', i / 4 FROM generate_series(1, 20) i",
                            "UPDATE tally SET amount = amount + 100 WHERE ctid IN (SELECT ctid FROM tally LIMIT 3)",
                            "DELETE FROM tally WHERE ctid IN (SELECT ctid FROM tally ORDER BY amount LIMIT 12)"});
        case 3:
            return all(on, {"BEGIN", "TRUNCATE scratch",
                            "INSERT INTO scratch (id, what) SELECT i, 'after ' || i FROM generate_series(1, 50) i",
                            "UPDATE scratch SET id = -id WHERE id % 10 = 0", "COMMIT"});
        case 4:
            return all(on, {"TRUNCATE parent CASCADE", "INSERT INTO parent SELECT generate_series(1, 20)",
                            "INSERT INTO child SELECT i, 1 + i % 20 FROM generate_series(1, 100) i"});
        case 5:
            return all(on, {"DELETE FROM parent WHERE id IN (SELECT id FROM parent LIMIT 2)"});
        case 6:
            return all(on, {"INSERT INTO happening VALUES (" + id + ", 1, 'new')",
                            "UPDATE happening SET year = 3 - year WHERE id % 5 = " + id + " % 5",
                            "DELETE FROM happening WHERE id < " + id + " - 300",
                            next_ % 4 == 0 ? "TRUNCATE happening_" + std::to_string(1 + next_ % 8 / 4) : "SELECT 1"});
        case 7:
            return all(on, {"BEGIN", "SAVEPOINT a", "INSERT INTO tally VALUES ('never', " + id + ")",
                            "ROLLBACK TO SAVEPOINT a", "SAVEPOINT b", "INSERT INTO tally VALUES ('kept', " + id + ")",
                            "RELEASE SAVEPOINT b", "COMMIT"});
        case 8:
            return all(on, {"BEGIN", "INSERT INTO tally VALUES ('prepared', " + id + ")",
                            "PREPARE TRANSACTION " + std::string{gid}, "COMMIT PREPARED " + std::string{gid}});
        case 9:
            return all(on, {"BEGIN", "SELECT pg_logical_emit_message(true, 'somebody else', repeat('m', 2000))",
                            "INSERT INTO tally VALUES ('behind a message', " + id + ")", "COMMIT"});
        default:
            return new_column(on);
    }
}

void turmoil::run() {
    connection to;
    while (!stopping_) {
        if (!to) {
            to = connect(legacy_);
            if (!to || finish_prepared(to.get()) != answer::done) {
                to.reset();
                pause_after_failure();
                continue;
            }
        }
        if (one_round(to.get()) == answer::done) {
            ++rounds_;
            pause_for(pause_);
        } else {
            to.reset();
        }
    }
    if (!to) to = connect(legacy_);
    // A column that one side has alone would be a difference.
    if (to && finish_prepared(to.get()) == answer::done) new_column(to.get());
}

}  // namespace crossfade::chaos
