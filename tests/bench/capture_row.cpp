// What one row costs the thread that captures: the bytes of transactions of a thousand rows, as a walsender sends them,
// decoded, encoded, and given to a librdkafka whose broker is in this process. Prints, for each of the steps and those
// before it, this thread's CPU time and its allocations a row (C++'s own; librdkafka's are not counted). A number alone
// of the steps (1 to 3) and a number of transactions run that for once: under callgrind, whose counts don't depend on
// what else the machine does.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "lib/pgoutput/assembler.hpp"
#include "lib/pgoutput/decode.hpp"
#include "lib/pgoutput/replication.hpp"
#include "proxy/publish/outbox.hpp"
#include "tests/support/kafka.hpp"
#include "tests/unit/pgoutput/bytes.hpp"

namespace {

thread_local std::size_t allocations = 0;

void* counted(std::size_t size) {
    ++allocations;
    if (auto* const made = std::malloc(size)) return made;  // NOLINT(cppcoreguidelines-no-malloc)
    throw std::bad_alloc{};
}

}  // namespace

void* operator new(std::size_t size) {
    return counted(size);
}
void operator delete(void* of) noexcept {
    std::free(of);  // NOLINT(cppcoreguidelines-no-malloc)
}
void operator delete(void* of, std::size_t) noexcept {
    std::free(of);  // NOLINT(cppcoreguidelines-no-malloc)
}

namespace {

using namespace crossfade;
namespace publish = crossfade::proxy::publish;
using namespace std::chrono_literals;
using pgoutput::bytes;

constexpr std::size_t rows = 1000;
constexpr std::uint64_t wal_of_a_row = 150;
constexpr unsigned most_events = 100'000;  // proxy.max_unacknowledged_events
constexpr std::size_t most_bytes = std::size_t{64} << 20;

std::string frame(std::uint64_t at, const bytes& message) {
    return bytes{}.raw("w").i64(at).i64(at).i64(1).raw(message).str();
}

// The table of tests/bench/stream.py.
bytes described() {
    bytes made;
    made.raw("R").i32(16384).c_string("public").c_string("payments").raw("d").i16(5);
    const auto column = [&](unsigned flags, const char* name, std::uint32_t type, std::uint32_t modifier) {
        made.i8(flags).c_string(name).i32(type).i32(modifier);
    };
    column(1, "id", 20, 0xFFFFFFFF);
    column(0, "account", 20, 0xFFFFFFFF);
    column(0, "amount", 1700, 786438);
    column(0, "note", 25, 0xFFFFFFFF);
    column(0, "at", 1184, 0xFFFFFFFF);
    return made;
}

bytes row(std::uint64_t id) {
    const auto number = std::to_string(id);
    return bytes{}
        .raw("I")
        .i32(16384)
        .raw("N")
        .i16(5)
        .text_cell(number)
        .text_cell(std::to_string(id % 1000))
        .text_cell(std::to_string(id / 100) + ".25")
        .text_cell("payment " + number)
        .text_cell("2026-03-01 12:34:56.789012+00");
}

// Transactions one behind the other in the WAL.
class stream {
  public:
    std::vector<std::string> next() {
        std::vector<std::string> frames;
        const auto begins = at_;
        const auto commits = begins + rows * wal_of_a_row;
        frames.push_back(frame(begins, bytes{}.raw("B").i64(commits).i64(1).i32(++xid_)));
        if (xid_ == 1) frames.push_back(frame(0, described()));
        for (std::size_t i = 0; i < rows; ++i) frames.push_back(frame(begins + i * wal_of_a_row, row(++id_)));
        at_ = commits + 48;
        frames.push_back(frame(at_, bytes{}.raw("C").i8(0).i64(commits).i64(at_).i64(1)));
        return frames;
    }

  private:
    std::uint64_t at_ = 0x100000000;
    std::uint64_t id_ = 1'000'000;
    std::uint32_t xid_ = 0;
};

enum class step { decode = 1, encode = 2, publish = 3 };

// Everything but the socket that proxy/capture/publishing.cpp does with a frame.
class capture {
  public:
    explicit capture(step last) : last_(last) {
        if (last_ != step::publish) return;
        kafka_.create_topic("changes", 1);
        outbox_.emplace(
            publish::outbox::open(kafka_.config(), "changes", {most_events, most_bytes}, std::nullopt).value());
    }

    void take(const std::vector<std::string>& frames) {
        for (const auto& each : frames) {
            const auto data = std::get<pgoutput::xlog_data>(pgoutput::decode_frame(each).value());
            auto event = assembler_.take(pgoutput::decode(data.payload).value()).value();
            if (!event) continue;
            ++events_;
            if (last_ == step::encode) sum_ += encode(*event);
            if (last_ == step::publish) outbox_->put(*event);
        }
        if (!outbox_) return;
        do {
            outbox_->send().value();
            outbox_->settle(outbox_->full() ? 10ms : 0ms).value();
        } while (outbox_->full());
    }

    std::size_t events() const { return events_; }

  private:
    std::size_t encode(const model::change_event& event) {
        return events::message_key(event).size() + events::encode(event, relations_).size() +
               model::to_string(event.at).size();
    }

    step last_;
    support::mock_kafka kafka_;
    std::optional<publish::outbox> outbox_;
    pgoutput::assembler assembler_{{7301234567890123456, {1, {}}, 17, {}}};
    events::relation_encoder relations_;
    std::size_t events_ = 0;
    std::size_t sum_ = 0;
};

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct cost {
    double nanoseconds = 0;
    double allocations = 0;
};

cost measured(step last, std::size_t transactions) {
    stream from;
    capture to{last};
    to.take(from.next());
    cost of;
    const auto before = to.events();
    for (std::size_t i = 0; i < transactions; ++i) {
        const auto frames = from.next();
        const auto allocated = allocations;
        const auto since = cpu_seconds();
        to.take(frames);
        of.nanoseconds += (cpu_seconds() - since) * 1e9;
        of.allocations += static_cast<double>(allocations - allocated);
    }
    const auto events = static_cast<double>(to.events() - before);
    return {of.nanoseconds / events, of.allocations / events};
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3) {
        const auto last = std::atoi(argv[1]);  // NOLINT(cert-err34-c)
        const auto of = measured(static_cast<step>(std::clamp(last, 1, 3)), std::strtoul(argv[2], nullptr, 10));
        std::printf("%.0f ns, %.2f allocations\n", of.nanoseconds, of.allocations);
        return 0;
    }
    constexpr int rounds = 9;
    std::printf("%-24s%10s%16s\n", "a row", "CPU, ns", "allocations");
    for (const auto& [last, name] : {std::pair{step::decode, "decoded"}, std::pair{step::encode, "and encoded"},
                                     std::pair{step::publish, "decoded and published"}}) {
        std::vector<cost> all;
        for (int i = 0; i < rounds; ++i) all.push_back(measured(last, 50));
        std::ranges::nth_element(all, all.begin() + rounds / 2, {}, &cost::nanoseconds);
        const auto& median = all[rounds / 2];
        std::printf("%-24s%10.0f%16.2f\n", name, median.nanoseconds, median.allocations);
    }
}
