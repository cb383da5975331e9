#include "tests/unit/sql/allocations.hpp"

#include <cstdlib>
#include <new>

namespace {
thread_local std::size_t count = 0;
}

// In a file of their own: where g++ sees only one of them inlined it takes the two for mismatched.
void* operator new(std::size_t size) {
    ++count;
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace crossfade::sql {

std::size_t allocations() {
    return count;
}

}  // namespace crossfade::sql
