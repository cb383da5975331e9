#include "tests/support/process.hpp"

#include <gtest/gtest.h>

namespace crossfade::support {
namespace {

// Page 0 is never there to be read: the file opens, and reading it fails, as with the files of a process that has
// ended.
TEST(read_file, that_opens_and_cannot_be_read_is_empty) {
    EXPECT_EQ(read_file("/proc/self/mem"), "");
}

TEST(read_file, gives_all_of_it) {
    EXPECT_FALSE(read_file("/proc/self/status").empty());
}

}  // namespace
}  // namespace crossfade::support
