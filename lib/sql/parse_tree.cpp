#include "lib/sql/parse_tree.hpp"

#include <pg_query.h>

#include <algorithm>
#include <mutex>
#include <new>

namespace crossfade::sql {
namespace {

// libpg_query keeps its state by thread and sets it up at a thread's first call: it makes a key whose destructor frees
// the memory when the thread ends, and holds the key in one variable for all threads. So the first calls take turns.
// pg_query_exit is never called: the destructor would free the same memory again.
void set_up_thread() {
    static std::mutex one_at_a_time;
    thread_local const bool done = [] {
        const std::scoped_lock lock(one_at_a_time);
        pg_query_init();
        return true;
    }();
    (void)done;
}

// An unpacked tree is many small pieces that go all at once. It was 15 times as large as its packed form, measured.
constexpr std::size_t unpacked_share = 15;
constexpr std::size_t first_block = 1024;

std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_for(const PgQueryProtobuf& packed) {
    return std::make_unique<std::pmr::monotonic_buffer_resource>(packed.len * unpacked_share + first_block);
}

ProtobufCAllocator allocator_of(std::pmr::memory_resource& memory) {
    const auto take = [](void* from, std::size_t size) -> void* {
        try {
            return static_cast<std::pmr::memory_resource*>(from)->allocate(size, alignof(std::max_align_t));
        } catch (const std::bad_alloc&) {
            // protobuf-c is C: it takes null for an answer and gives up.
            return nullptr;
        }
    };
    return {take, [](void*, void*) {}, &memory};
}

const std::uint8_t* bytes(const PgQueryProtobuf& packed) {
    return reinterpret_cast<const std::uint8_t*>(packed.data);
}

}  // namespace

boost::system::result<parse_tree, not_understood> parse_tree::of(const char* text, std::size_t length) {
    set_up_thread();
    struct parsed {
        PgQueryProtobufParseResult it;
        ~parsed() { pg_query_free_protobuf_parse_result(it); }
    } const result{pg_query_parse_protobuf(text)};
    if (const auto* error = result.it.error) {
        // A text that ends too early has its error behind its last character.
        const auto position = std::clamp<std::int64_t>(error->cursorpos, 0, static_cast<std::int64_t>(length) + 1);
        return not_understood{obstacle::syntax, static_cast<std::uint32_t>(position)};
    }
    auto memory = memory_for(result.it.parse_tree);
    auto allocator = allocator_of(*memory);
    const auto* tree =
        pg_query__parse_result__unpack(&allocator, result.it.parse_tree.len, bytes(result.it.parse_tree));
    if (tree == nullptr) return not_understood{obstacle::too_complex, 0};
    return parse_tree{std::move(memory), tree};
}

token_list::token_list(const char* text) {
    set_up_thread();
    struct scanned {
        PgQueryScanResult it;
        ~scanned() { pg_query_free_scan_result(it); }
    } const result{pg_query_scan(text)};
    if (result.it.error != nullptr) return;
    memory_ = memory_for(result.it.pbuf);
    auto allocator = allocator_of(*memory_);
    scanned_ = pg_query__scan_result__unpack(&allocator, result.it.pbuf.len, bytes(result.it.pbuf));
}

std::span<PgQuery__ScanToken* const> token_list::tokens() const& {
    if (scanned_ == nullptr) return {};
    return {scanned_->tokens, scanned_->n_tokens};
}

std::uint64_t fingerprint(const char* text) {
    set_up_thread();
    const auto result = pg_query_fingerprint(text);
    const auto value = result.fingerprint;
    pg_query_free_fingerprint_result(result);
    return value;
}

}  // namespace crossfade::sql
