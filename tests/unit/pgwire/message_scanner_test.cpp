#include "lib/pgwire/message_scanner.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "lib/pgwire/bytes.hpp"

namespace crossfade::pgwire {
namespace {

struct recorder {
    std::vector<std::string> seen;

    static std::size_t wanted(char type) { return type == 'Z' ? 1 : type == 'K' ? 260 : 0; }
    void message(char type, std::uint32_t length, std::string_view beginning) {
        seen.push_back(std::string(1, type) + std::to_string(length) + std::string{beginning});
    }
};

// As the relay does: what isn't consumed comes again in front of the next piece.
struct feeder {
    message_scanner scanner{1000};
    recorder into{};
    std::string held{};
    std::string forwarded{};

    framing_fault feed(std::string_view piece) {
        held.append(piece);
        const auto [consumed, fault] = scanner.scan(held, into);
        forwarded.append(held, 0, consumed);
        held.erase(0, consumed);
        return fault;
    }
};

const std::string stream = framed('T', std::string(300, 't')) + framed('D', "") + framed('K', std::string(8, 'k')) +
                           framed('C', "SELECT 1") + framed('Z', "I") + framed('K', std::string(300, 'l'));
const std::vector<std::string> messages{"T300", "D0", "K8kkkkkkkk", "C8", "Z1I", "K300" + std::string(260, 'l')};

TEST(message_scanner, finds_the_same_messages_however_the_stream_is_split) {
    for (std::size_t first = 0; first <= stream.size(); ++first) {
        feeder split;
        EXPECT_EQ(split.feed(std::string_view{stream}.substr(0, first)), framing_fault::none);
        EXPECT_EQ(split.feed(std::string_view{stream}.substr(first)), framing_fault::none);
        EXPECT_EQ(split.into.seen, messages) << first;
        EXPECT_EQ(split.forwarded, stream) << first;
        EXPECT_TRUE(split.scanner.at_boundary());
    }
    feeder bytewise;
    for (const char byte : stream) {
        EXPECT_EQ(bytewise.feed({&byte, 1}), framing_fault::none);
        EXPECT_LE(bytewise.held.size(), 265U) << "only headers and wanted beginnings are held back";
    }
    EXPECT_EQ(bytewise.into.seen, messages);
    EXPECT_EQ(bytewise.forwarded, stream);
}

TEST(message_scanner, a_faulty_message_is_not_consumed_and_nothing_before_it_is_lost) {
    const auto good = framed('Q', "select 1");
    struct {
        std::uint32_t length;
        framing_fault fault;
    } const table[] = {{0, framing_fault::bad_length},
                       {3, framing_fault::bad_length},
                       {1005, framing_fault::too_long},
                       {0x80000000U, framing_fault::too_long},
                       {0xFFFFFFFFU, framing_fault::too_long}};
    for (const auto& [length, fault] : table) {
        std::string bytes = good + 'Q';
        put_u32(bytes, length);
        bytes += "more";
        feeder whole;
        EXPECT_EQ(whole.feed(bytes), fault) << length;
        EXPECT_EQ(whole.forwarded, good) << length;
        EXPECT_TRUE(whole.scanner.at_boundary());
    }
}

TEST(message_scanner, the_longest_message_passes) {
    feeder at_bound;
    EXPECT_EQ(at_bound.feed(framed('d', std::string(1000, 'x'))), framing_fault::none);
    EXPECT_EQ(at_bound.into.seen, std::vector<std::string>{"d1000"});
}

TEST(message_scanner, any_bytes_are_survived_and_none_invented) {
    std::mt19937 random{11};
    for (int round = 0; round < 2000; ++round) {
        std::string bytes(random() % 200, '\0');
        for (char& byte : bytes) byte = static_cast<char>(random() % 4 == 0 ? random() : random() % 8);
        feeder any;
        std::string fed;
        for (std::size_t at = 0; at < bytes.size();) {
            const auto piece = std::string_view{bytes}.substr(at, 1 + random() % 9);
            fed += piece;
            at += piece.size();
            if (any.feed(piece) != framing_fault::none) break;
        }
        EXPECT_EQ(any.forwarded + any.held, fed);
    }
}

}  // namespace
}  // namespace crossfade::pgwire
