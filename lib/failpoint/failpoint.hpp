#pragma once

#include <array>
#include <string_view>

// Named places where a test stops the process, to see what is left when something dies there.
namespace crossfade::failpoint {

struct place {
    std::string_view name;
    std::string_view program;
};

inline constexpr std::array places{
    place{"capture.slot_taken", "crossfade-proxy"},    // the server streams, nothing is published yet
    place{"capture.put", "crossfade-proxy"},           // librdkafka has an event, others of its transaction follow
    place{"capture.put_last", "crossfade-proxy"},      // librdkafka has a transaction's last event
    place{"capture.acknowledged", "crossfade-proxy"},  // Kafka has it, the slot has not been told
    place{"capture.confirmed", "crossfade-proxy"},     // the slot has been told
    place{"mirror.written", "crossfade-proxy"},        // modern has a transaction's rows, legacy's COMMIT is not sent
    place{"mirror.answered", "crossfade-proxy"},       // legacy has committed, modern's COMMIT is not sent
    place{"mirror.committed", "crossfade-proxy"},      // modern has committed, the client has no answer
    place{"consume.read", "crossfade-cdc"},            // messages are here, none is looked at
    place{"apply.begun", "crossfade-cdc"},             // the follower's transaction is open
    place{"apply.careful", "crossfade-cdc"},           // taken back, to be written change by change
    place{"apply.part", "crossfade-cdc"},              // a part of a large transaction is written
    place{"apply.written", "crossfade-cdc"},           // the rows are written, COMMIT is not sent
    place{"apply.committed", "crossfade-cdc"},         // COMMIT is answered
    place{"lanes.prepared", "crossfade-cdc"},          // one of several batches is written, and waits for its turn
    place{"lanes.committed", "crossfade-cdc"},         // its COMMIT is answered, later ones are under way
    place{"partitions.waiting", "crossfade-cdc"},      // one of many partitions has noted what it has come to
    place{"partitions.passed", "crossfade-cdc"},       // what is about all of them is applied, COMMIT is answered
    place{"ddl.pass", "crossfade-cdc"},                // legacy's DDL is about to be run on the follower
    place{"ddl.done", "crossfade-cdc"},                // what policy wants is done and recorded, not committed
    place{"letters.asked", "crossfade-cdc"},           // operators want some replayed, no transaction is open
    place{"letters.sent", "crossfade-cdc"},            // dead letters are in the topic, and not yet marked as such
    place{"backfill.begun", "crossfade-cdc"},          // a table to be copied beside the stream is empty, not committed
    place{"backfill.chunk", "crossfade-cdc"},          // a chunk is written, COMMIT is not sent
    place{"backfill.chunk_committed", "crossfade-cdc"},
    place{"backfill.refetched", "crossfade-cdc"},  // single rows are written, COMMIT is not sent
    place{"backfill.finishing", "crossfade-cdc"},  // the table counts as live, COMMIT is not sent
    place{"flip.begun", "crossfade"},              // the history has it, nobody has been asked for anything
    place{"flip.holding", "crossfade"},            // proxies are asked to hold
    place{"flip.held", "crossfade"},               // they do, and nothing of theirs is under way
    place{"flip.fenced", "crossfade"},             // the authority refuses writes
    place{"flip.drained", "crossfade"},            // the other side has all of it
    place{"flip.sequences", "crossfade"},          // and its sequences are ahead
    place{"flip.decided", "crossfade"},            // it is the authority, and still refuses writes
    place{"flip.opened", "crossfade"},             // it takes them; the old side doesn't know
    place{"backfill.marked", "crossfade"},         // the tables count as being copied
    place{"backfill.snapshot", "crossfade"},       // there is a snapshot, nothing is copied
    place{"backfill.copied", "crossfade"},         // a table's rows are written, COMMIT is not sent
    place{"backfill.committed", "crossfade"},      // ... it is answered
};

// A name of the list; another one doesn't compile.
class listed {
  public:
    consteval listed(const char* name) : text(name) {  // NOLINT(google-explicit-constructor)
        bool found = false;
        for (const auto& each : places) found = found || each.name == text;
        if (!found) throw "not in failpoint::places";
    }
    const std::string_view text;
};

// What CROSSFADE_FAILPOINT asks for, once: "name", "name:n" or "name:n:stop". At the n-th time (1 where there is none)
// that the place is passed, the process gets SIGKILL, or SIGSTOP, in which it stays until the test sends SIGCONT: time
// to kill something else just then. Without the variable it costs one comparison. A value that can't be read is logged
// and ends the process: a test must not wait for what never happens.
void pass(listed name);

}  // namespace crossfade::failpoint
