#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cdc/apply/sql.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::apply {

// Statements sent to one connection without waiting for each answer (libpq's pipeline mode), each text prepared once; a
// COPY, which can't be in a pipeline, waits for what is before it.
// Between add() and run() the connection is the pipeline's alone. Not thread-safe.
class pipeline {
  public:
    // `interrupted` is asked about ten times a second while a server works; when it says yes the work is cancelled
    // (SQLSTATE 57014).
    pipeline(pgclient::connection& over, std::function<bool()> interrupted);

    void add(const statement& next);
    void add(std::string sql) { add(statement{std::move(sql), {}, std::nullopt}); }

    // The answer to one add().
    struct answer {
        pgclient::rows got{nullptr};
        std::optional<std::int64_t> expected;
        bool as_expected() const { return !expected || got.affected() == *expected; }
    };
    // Sends all and waits for all answers. The first failure is the result; what followed it was not executed, and the
    // answers to what came before it are in `before`. A failed COPY leaves the transaction to be rolled back, as any
    // other statement's failure does.
    pgclient::result<std::vector<answer>> run(std::vector<answer>* before = nullptr);

    // Statements kept prepared at most; beyond it they are all forgotten and begin anew.
    static constexpr std::size_t most_prepared = 500;
    std::size_t prepared() const { return prepared_.size(); }

  private:
    enum class awaited { prepare, result };
    struct slot {
        awaited what = awaited::result;
        std::optional<std::int64_t> expected;
    };
    void enter();
    void copy(const statement& next);
    void settle();
    void note_break();
    bool pump(bool until_readable);  // false: the connection is gone

    pgclient::connection& over_;
    std::function<bool()> interrupted_;
    std::unordered_map<std::string, std::string> prepared_;
    std::vector<std::string> fresh_;  // prepared by the run under way
    std::vector<slot> slots_;
    std::vector<answer> answers_;              // of what has been settled before run()
    std::optional<pgclient::failure> failed_;  // likewise; then nothing more is sent
    std::uint64_t names_ = 0;
    bool entered_ = false;
    bool broken_ = false;
};

}  // namespace crossfade::cdc::apply
