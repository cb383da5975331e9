#include "tests/chaos/rivals.hpp"

#include <array>

#include "tests/chaos/client.hpp"

namespace crossfade::chaos {

const char* rivals::schema() {
    return "CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL);"
           "CREATE TABLE purse (id int PRIMARY KEY, balance bigint NOT NULL);"
           "CREATE TABLE seat (id int PRIMARY KEY, holder int NOT NULL UNIQUE, note text);"
           "CREATE TABLE perch (id int PRIMARY KEY, place int UNIQUE, note text);"
           "CREATE TABLE fleeting (id int PRIMARY KEY, who text NOT NULL);"
           "CREATE TABLE swarm (id int PRIMARY KEY, n bigint NOT NULL);"
           "CREATE TABLE sand (id int PRIMARY KEY, n int NOT NULL, body text);"
           "ALTER TABLE sand ALTER body SET STORAGE EXTERNAL;"
           "CREATE TABLE shore (part int, id int, n int NOT NULL, body text, PRIMARY KEY (part, id)) PARTITION BY LIST "
           "(part);"
           "CREATE TABLE shore_1 PARTITION OF shore FOR VALUES IN (1);"
           "CREATE TABLE shore_2 PARTITION OF shore FOR VALUES IN (2, 3);"
           "CREATE TABLE deed (tag text PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())";
}

const char* rivals::rows() {
    return "INSERT INTO counter SELECT i, 0 FROM generate_series(1, 3) i;"
           "INSERT INTO purse SELECT i, 1000 FROM generate_series(1, 4) i;"
           "INSERT INTO swarm SELECT i, 0 FROM generate_series(1, 40) i;"
           "INSERT INTO seat SELECT i, 100 + i FROM generate_series(1, 4) i";
}

const char* rivals::invariant() {
    return "SELECT (SELECT sum(balance) = 4000 FROM purse) AND (SELECT array_agg(holder ORDER BY holder) = "
           "ARRAY[101, 102, 103, 104] FROM seat)";
}

rivals::rivals(std::string dsn, unsigned clients, std::string name, game what)
    : crowd(std::move(dsn), clients, std::move(name)), what_(what), last_errors_(clients) {}

std::string rivals::last_error() const {
    std::string all;
    for (const auto& each : last_errors_)
        if (!each.empty()) all += each + '\n';
    return all;
}

rivals::deed rivals::next(std::mt19937& random, const std::string& tag) const {
    const auto pick = [&](unsigned count) { return std::to_string(1 + random() % count); };
    const auto leave = "INSERT INTO deed (tag) VALUES ('" + tag + "')";
    const auto raise = "UPDATE counter SET n = n + 1 WHERE id = " + pick(3);
    const auto one = pick(4);
    const auto other = pick(4);
    constexpr std::array seats{2U, 6U, 6U, 7U, 8U, 8U};
    switch (what_ == game::all ? random() % 11 : seats[random() % seats.size()]) {
        case 0:
            return {{"BEGIN", raise + " RETURNING n", leave, "COMMIT"}, true};
        case 1:
            return {{"BEGIN", "UPDATE purse SET balance = balance - 1 WHERE id = " + one, leave,
                     "UPDATE purse SET balance = balance + 1 WHERE id = " + other, "COMMIT"}};
        case 2: {
            const auto both = " WHERE id IN (" + one + ", " + other + ")";
            return {{"BEGIN", leave, "UPDATE seat SET holder = -holder" + both,
                     "UPDATE seat SET holder = (SELECT -s.holder FROM seat s WHERE s.id = CASE seat.id WHEN " + one +
                         " THEN " + other + " ELSE " + one + " END)" + both,
                     "COMMIT"}};
        }
        case 3:
            return {{"BEGIN",
                     "INSERT INTO fleeting VALUES (" + one + ", '" + tag +
                         "') ON CONFLICT (id) DO UPDATE SET who = excluded.who",
                     leave, "DELETE FROM fleeting WHERE id = " + other, "COMMIT"}};
        case 4:
            return {{"BEGIN", leave, "SAVEPOINT s", raise, "DELETE FROM fleeting", "ROLLBACK TO s", raise, "COMMIT"},
                    true};
        case 5: {
            // So many rows that they go to modern before the end, and sometimes come back.
            constexpr std::array between{"SELECT 1", "SELECT pg_sleep(0.15)", "SAVEPOINT s",
                                         "DELETE FROM swarm WHERE id > 40"};
            return {{"BEGIN", "UPDATE swarm SET n = n + 1 WHERE id <= 20", leave, between[random() % between.size()],
                     "UPDATE swarm SET n = n + 1 WHERE id > " + other + "0",
                     random() % 4 == 0 ? "ROLLBACK" : "COMMIT"}};
        }
        case 6:
            return {{"UPDATE seat SET note = '" + tag + "' WHERE id = " + one}};
        case 7:
            return {{"BEGIN", "UPDATE seat SET note = '" + tag + "', holder = holder WHERE id = " + one, leave,
                     random() % 2 == 0 ? "DELETE FROM perch WHERE id = " + other
                                       : "UPDATE perch SET note = '" + tag + "' WHERE id = " + other,
                     "COMMIT"}};
        case 8: {
            // Who is gone comes back, there or elsewhere, and may be elsewhere at once.
            const std::array come_and_go{
                "DELETE FROM perch WHERE id = " + one,
                "INSERT INTO perch VALUES (" + one + ", " + other + ") ON CONFLICT DO NOTHING",
                "INSERT INTO perch VALUES (" + one + ", " + other + ") ON CONFLICT DO NOTHING",
                "UPDATE perch SET place = NULL WHERE place = " + other + " AND id <> " + one,
            };
            return {{come_and_go[random() % come_and_go.size()]}};
        }
        case 9: {
            // Whatever comes behind a TRUNCATE may be on modern before it; an UPDATE leaves alone what is long.
            const std::string body = "repeat(md5('" + tag + "'), 90)";
            const auto in_part = " WHERE part = " + pick(3) + " AND id = " + one;
            const std::array tide{
                "INSERT INTO sand VALUES (" + one + ", 0, " + body + ") ON CONFLICT DO NOTHING",
                "UPDATE sand SET n = n + 1 WHERE id = " + one,
                "INSERT INTO shore VALUES (" + pick(3) + ", " + one + ", 0, " + body + ") ON CONFLICT DO NOTHING",
                "UPDATE shore SET n = n + 1" + in_part,
                "DELETE FROM shore" + in_part,
            };
            const auto any = [&] { return tide[random() % tide.size()]; };
            if (random() % 8 != 0) return {{"BEGIN", any(), leave, any(), "COMMIT"}};
            constexpr std::array ebb{"TRUNCATE sand", "TRUNCATE shore", "TRUNCATE shore_1", "TRUNCATE shore_2"};
            return {{ebb[random() % ebb.size()]}};
        }
        default:
            // A transaction of its own, and no tag.
            return {{raise}, true};
    }
}

void rivals::run(unsigned client) {
    std::mt19937 random{client};
    connection to;
    for (std::uint64_t sequence = 0; !stopping(); ++sequence) {
        if (!to) {
            to = connect(dsn());
            if (!to) {
                ++errors_;
                pause_after_failure();
                continue;
            }
            if (execute(to.get(), "SET search_path = public") != answer::done) {
                to.reset();
                continue;
            }
        }
        const std::string tag = this->tag(client, sequence);
        const auto [statements, raises] = next(random, tag);
        const bool tagged = statements.size() > 1;
        auto got = answer::done;
        auto result = outcome::acknowledged;
        for (const auto& sql : statements) {
            got = execute(to.get(), sql);
            if (got == answer::done) continue;
            ++errors_;
            last_errors_[client] = sql + ": " + PQerrorMessage(to.get());
            if (got == answer::nothing) ++hung_;
            const bool commits = &sql == &statements.back();
            result = commits && got != answer::refused ? outcome::unknown : outcome::aborted;
            if (got != answer::refused || (tagged && execute(to.get(), "ROLLBACK") != answer::done)) to.reset();
            break;
        }
        if (statements.back() == "ROLLBACK") result = outcome::aborted;
        if (got == answer::done) ++acknowledged_;
        if (raises && got == answer::done) ++raised_;
        if (raises && result == outcome::unknown) ++unknown_raises_;
        if (tagged) knows(client, tag, result);
    }
}

}  // namespace crossfade::chaos
