// What mirroring costs at least: the work of a mirrored transaction by libpq alone, without a proxy or a stream
// between. The statements with RETURNING on one database; the rows, receipt and commit on the other, in pipelines;
// legacy commits first, and modern's commit isn't waited for to be flushed (docs/adr/0023). Prints transactions a
// second, and the median and the 99th percentile in microseconds.
#include <libpq-fe.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

struct clear {
    void operator()(PGresult* of) const { PQclear(of); }
    void operator()(PGconn* of) const { PQfinish(of); }
};
using result = std::unique_ptr<PGresult, clear>;

class database {
  public:
    explicit database(const char* dsn) : db_(PQconnectdb(dsn)) {
        if (PQstatus(db_.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(db_.get()));
    }
    void exec(const std::string& sql) { check(result{PQexec(db_.get(), sql.c_str())}.get()); }
    void prepare(const char* name, const char* sql) {
        check(result{PQprepare(db_.get(), name, sql, 0, nullptr)}.get());
    }
    void pipeline() {
        if (PQenterPipelineMode(db_.get()) != 1) throw std::runtime_error(PQerrorMessage(db_.get()));
    }

    void ask(const char* name, const std::vector<std::string>& values) {
        std::vector<const char*> pointers;
        for (const auto& each : values) pointers.push_back(each.c_str());
        ask_of(name, pointers);
    }
    // The row, as another database has sent it behind its transaction's id.
    void ask(const char* name, const PGresult* row) {
        std::vector<const char*> pointers;
        for (int i = 1; i < PQnfields(row); ++i)
            pointers.push_back(PQgetisnull(row, 0, i) != 0 ? nullptr : PQgetvalue(row, 0, i));
        ask_of(name, pointers);
    }
    void flush() {
        if (PQsendFlushRequest(db_.get()) != 1 || PQflush(db_.get()) < 0) throw std::runtime_error("flush");
    }
    void sync() {
        if (PQpipelineSync(db_.get()) != 1) throw std::runtime_error("sync");
    }
    // The next statement's.
    result answer() {
        result got{PQgetResult(db_.get())};
        check(got.get());
        while (result rest{PQgetResult(db_.get())}) {
        }
        return got;
    }
    void synced() {
        const result got{PQgetResult(db_.get())};
        if (PQresultStatus(got.get()) != PGRES_PIPELINE_SYNC) throw std::runtime_error(PQerrorMessage(db_.get()));
    }

  private:
    void ask_of(const char* name, const std::vector<const char*>& values) {
        if (PQsendQueryPrepared(db_.get(), name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0) !=
            1)
            throw std::runtime_error(PQerrorMessage(db_.get()));
    }
    void check(const PGresult* got) const {
        const auto status = PQresultStatus(got);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            throw std::runtime_error(PQerrorMessage(db_.get()));
    }
    std::unique_ptr<PGconn, clear> db_;
};

struct table {
    const char* name;
    const char* on_legacy;
    const char* on_modern;
};
constexpr table history{"history",
                        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)"
                        " VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP) RETURNING pg_current_xact_id()::xid, *",
                        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler, id)"
                        " VALUES ($1, $2, $3, $4, $5, $6, $7)"};
constexpr table accounts{"accounts",
                         "UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2"
                         " RETURNING pg_current_xact_id()::xid, *",
                         "UPDATE pgbench_accounts SET bid = $2, abalance = $3, filler = $4 WHERE aid = $1"};
constexpr table tellers{"tellers",
                        "UPDATE pgbench_tellers SET tbalance = tbalance + $1 WHERE tid = $2"
                        " RETURNING pg_current_xact_id()::xid, *",
                        "UPDATE pgbench_tellers SET bid = $2, tbalance = $3, filler = $4 WHERE tid = $1"};
constexpr table branches{"branches",
                         "UPDATE pgbench_branches SET bbalance = bbalance + $1 WHERE bid = $2"
                         " RETURNING pg_current_xact_id()::xid, *",
                         "UPDATE pgbench_branches SET bbalance = $2, filler = $3 WHERE bid = $1"};

class client {
  public:
    client(const char* legacy, const char* modern, std::string_view workload, unsigned seed)
        : legacy_(legacy), modern_(modern), workload_(workload), random_(seed) {
        for (const auto& each : {history, accounts, tellers, branches}) {
            legacy_.prepare(each.name, each.on_legacy);
            modern_.prepare(each.name, each.on_modern);
        }
        for (auto* side : {&legacy_, &modern_}) {
            side->prepare("begin", "BEGIN");
            side->prepare("commit", "COMMIT");
        }
        legacy_.prepare("balance", "SELECT abalance FROM pgbench_accounts WHERE aid = $1");
        modern_.exec("SET synchronous_commit = off");
        modern_.prepare("lock", "SELECT pg_advisory_xact_lock(1, $1)");
        modern_.prepare("receipt", "INSERT INTO mirror_limit_receipts VALUES ('bench', $1::bigint, ARRAY[$1::bigint])");
        for (auto* side : {&legacy_, &modern_}) side->pipeline();
    }

    void transaction() {
        const auto any = [this](int most) { return std::to_string(1 + random_() % static_cast<unsigned>(most)); };
        const auto delta = any(5000);
        const auto account = any(1'000'000);
        rows_.clear();
        if (workload_ == "insert") {
            write(history, {"1", "1", "1", delta});
            answer_row();
            write_to_modern();
            legacy_.sync();
            legacy_.synced();
        } else {
            const auto branch = any(10);
            const auto teller = any(100);
            one("begin", {});
            written(accounts, {delta, account});
            one("balance", {account});
            if (workload_ == "TPC-B") {
                written(tellers, {delta, teller});
                written(branches, {delta, branch});
            }
            written(history, {teller, branch, account, delta});
            write_to_modern();
            one("commit", {});
        }
        modern_.ask("commit", std::vector<std::string>{});
        modern_.sync();
        modern_.answer();
        modern_.synced();
    }

  private:
    void write(const table& into, const std::vector<std::string>& values) {
        legacy_.ask(into.name, values);
        legacy_.flush();
        names_.push_back(into.name);
    }
    void answer_row() { rows_.push_back(legacy_.answer()); }
    void written(const table& into, const std::vector<std::string>& values) {
        legacy_.ask(into.name, values);
        legacy_.sync();
        names_.push_back(into.name);
        answer_row();
        legacy_.synced();
    }
    void one(const char* name, const std::vector<std::string>& values) {
        legacy_.ask(name, values);
        legacy_.sync();
        legacy_.answer();
        legacy_.synced();
    }
    void write_to_modern() {
        const std::string id{PQgetvalue(rows_.front().get(), 0, 0)};
        modern_.ask("begin", std::vector<std::string>{});
        modern_.ask("lock", {id});
        for (std::size_t i = 0; i < rows_.size(); ++i) modern_.ask(names_[i], rows_[i].get());
        modern_.ask("receipt", {id});
        modern_.sync();
        for (std::size_t i = 0; i < rows_.size() + 3; ++i) modern_.answer();
        modern_.synced();
        names_.clear();
    }

    database legacy_;
    database modern_;
    std::string_view workload_;
    std::mt19937 random_;
    std::vector<const char*> names_;
    std::vector<result> rows_;
};

// A client's transactions and how long each took, in microseconds. `rate`: a second, of all clients; 0: as many as can
// be. As pgbench has it, one that begins late took as long as that, too.
std::vector<long> run(client& one, clock_type::time_point until, double rate, unsigned seed) {
    std::vector<long> took;
    std::mt19937 random{seed};
    std::exponential_distribution<> gap{rate > 0 ? rate : 1};
    auto due = clock_type::now();
    while (clock_type::now() < until) {
        if (rate > 0) {
            due += std::chrono::duration_cast<clock_type::duration>(std::chrono::duration<double>(gap(random)));
            std::this_thread::sleep_until(due);
        } else {
            due = clock_type::now();
        }
        one.transaction();
        took.push_back(std::chrono::duration_cast<std::chrono::microseconds>(clock_type::now() - due).count());
    }
    return took;
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc < 6) {
        std::fprintf(stderr, "usage: %s LEGACY MODERN insert|-N|TPC-B CLIENTS SECONDS [RATE]\n", argv[0]);
        return 2;
    }
    database{argv[2]}.exec(
        "SET client_min_messages = warning;"
        "CREATE TABLE IF NOT EXISTS mirror_limit_receipts (stream text, xid bigint, keys bigint[], mirrored_at "
        "timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (stream, xid))");
    const auto clients = static_cast<unsigned>(std::atoi(argv[4]));
    const double rate = argc > 6 ? std::atof(argv[6]) : 0;
    std::vector<std::unique_ptr<client>> all;
    for (unsigned i = 0; i < clients; ++i) all.push_back(std::make_unique<client>(argv[1], argv[2], argv[3], i));
    const auto began = clock_type::now();
    const auto until = began + std::chrono::seconds{std::atoi(argv[5])};
    std::vector<std::vector<long>> took(clients);
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < clients; ++i)
        threads.emplace_back([&, i] {
            try {
                took[i] = run(*all[i], until, rate / clients, i);
            } catch (const std::exception& error) {
                std::fprintf(stderr, "client %u: %s\n", i, error.what());
                std::exit(1);
            }
        });
    for (auto& each : threads) each.join();
    const std::chrono::duration<double> seconds = clock_type::now() - began;
    std::vector<long> each;
    for (const auto& some : took) each.insert(each.end(), some.begin(), some.end());
    if (each.empty()) throw std::runtime_error("no transaction was finished");
    std::ranges::sort(each);
    std::printf("%.1f %ld %ld\n", static_cast<double>(each.size()) / seconds.count(), each[each.size() / 2],
                each[each.size() * 99 / 100]);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
