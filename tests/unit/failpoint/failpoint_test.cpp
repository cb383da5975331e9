#include "lib/failpoint/failpoint.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace crossfade::failpoint {
namespace {

// How a process ends that passes apply.written `times` times, armed so.
class process {
  public:
    process(const char* armed, int times) : pid_(::fork()) {
        if (pid_ != 0) return;
        ::setenv("CROSSFADE_FAILPOINT", armed, 1);  // NOLINT(concurrency-mt-unsafe)
        pass("apply.begun");
        for (int i = 0; i < times; ++i) pass("apply.written");
        ::_exit(0);
    }
    ~process() {
        if (!reaped_) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    int wait(int options = 0) {
        int status = 0;
        ::waitpid(pid_, &status, options);
        reaped_ = !WIFSTOPPED(status);
        return status;
    }
    pid_t pid() const { return pid_; }

  private:
    pid_t pid_;
    bool reaped_ = false;
};

bool killed(int status) {
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}
bool ended(int status, int code) {
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

TEST(failpoint, kills_at_the_first_time) {
    EXPECT_TRUE(killed(process{"apply.written", 1}.wait()));
}

TEST(failpoint, kills_at_the_nth_time_and_not_before) {
    EXPECT_TRUE(ended(process{"apply.written:3", 2}.wait(), 0));
    EXPECT_TRUE(killed(process{"apply.written:3", 3}.wait()));
}

TEST(failpoint, leaves_other_places_alone) {
    EXPECT_TRUE(ended(process{"apply.committed", 5}.wait(), 0));
}

TEST(failpoint, stops_until_it_is_told_to_go_on) {
    process one{"apply.written:2:stop", 5};
    const auto status = one.wait(WUNTRACED);
    ASSERT_TRUE(WIFSTOPPED(status));
    ::kill(one.pid(), SIGCONT);
    EXPECT_TRUE(ended(one.wait(), 0));
}

TEST(failpoint, ends_a_process_that_is_armed_with_nonsense) {
    for (const char* each : {"apply.writen", "apply.written:", "apply.written:x", "apply.written:0",
                             "apply.written:2:", "apply.written:2:stopp", ""})
        EXPECT_TRUE(ended(process{each, 1}.wait(), 2)) << each;
}

}  // namespace
}  // namespace crossfade::failpoint
