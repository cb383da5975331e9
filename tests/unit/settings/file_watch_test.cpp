#include "lib/settings/file_watch.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "tests/unit/settings/sample.hpp"

namespace crossfade::settings {
namespace {

using namespace std::chrono_literals;

fingerprint state(std::uint64_t inode, std::uint64_t size = 1) {
    return {1, inode, size, 0, 0};
}

TEST(change_detector, waits_until_a_state_has_settled) {
    change_detector detector(state(1), 11);
    EXPECT_FALSE(detector.look(state(1)));
    EXPECT_FALSE(detector.look(state(1, 2)));  // being written
    EXPECT_FALSE(detector.look(state(1, 3)));
    EXPECT_TRUE(detector.look(state(1, 3)));
    EXPECT_TRUE(detector.read(12));
    EXPECT_FALSE(detector.look(state(1, 3)));  // known now
}

TEST(change_detector, lets_a_file_be_away_for_a_while) {
    change_detector detector(state(1), 11);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(detector.look(std::nullopt));
    EXPECT_FALSE(detector.look(state(1)));
    EXPECT_FALSE(detector.look(state(1)));  // the same file came back
    EXPECT_FALSE(detector.look(state(2)));
    EXPECT_TRUE(detector.look(state(2)));
    EXPECT_FALSE(detector.read(11)) << "another file, the same content";
    EXPECT_FALSE(detector.look(state(2)));
}

TEST(change_detector, comes_back_to_what_could_not_be_read_once_it_changes) {
    change_detector detector(std::nullopt, 0);
    EXPECT_FALSE(detector.look(state(1)));
    EXPECT_TRUE(detector.look(state(1)));
    EXPECT_FALSE(detector.read(0));
    EXPECT_FALSE(detector.look(state(1, 2)));
    EXPECT_TRUE(detector.look(state(1, 2)));
    EXPECT_TRUE(detector.read(12));
}

class file_watches : public testing::Test {
  protected:
    void watch(const std::string& path) {
        watch_.emplace(path, 2ms);
        watch_->start([this] {
            const std::lock_guard lock(mutex_);
            ++changes_;
            changed_.notify_all();
        });
    }
    bool sees_change(int count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, 20s, [&] { return changes_ >= count; });
    }

    scratch_folder folder_;
    std::mutex mutex_;
    std::condition_variable changed_;
    int changes_ = 0;
    std::optional<file_watch> watch_;
};

TEST_F(file_watches, see_a_write_a_rename_and_a_new_file) {
    const auto path = folder_.write("f.yaml", "1");
    watch(path);
    folder_.write("f.yaml", "22");
    EXPECT_TRUE(sees_change(1));
    std::filesystem::rename(folder_.write("f.yaml.tmp", "3"), path);
    EXPECT_TRUE(sees_change(2));
    std::filesystem::remove(path);
    folder_.write("f.yaml", "4");
    EXPECT_TRUE(sees_change(3));
}

// As the kubelet does it: f.yaml -> ..data/f.yaml, ..data -> ..2026_1; the swap is a rename of ..data.
TEST_F(file_watches, see_the_swap_of_a_symbolic_link_on_the_way) {
    folder_.write("..1/f.yaml", "1");
    folder_.write("..2/f.yaml", "2");
    std::filesystem::create_directory_symlink("..1", folder_ / "..data");
    std::filesystem::create_symlink("..data/f.yaml", folder_ / "f.yaml");
    watch(folder_ / "f.yaml");
    std::filesystem::create_directory_symlink("..2", folder_ / "..data_tmp");
    std::filesystem::rename(folder_ / "..data_tmp", folder_ / "..data");
    EXPECT_TRUE(sees_change(1));
}

TEST_F(file_watches, catch_what_changed_before_they_were_started) {
    const auto path = folder_.write("f.yaml", "1");
    file_watch early(path, 2ms);
    folder_.write("f.yaml", "22");
    early.start([this] {
        const std::lock_guard lock(mutex_);
        ++changes_;
        changed_.notify_all();
    });
    EXPECT_TRUE(sees_change(1));
}

TEST_F(file_watches, stop_at_once) {
    const auto path = folder_.write("f.yaml", "1");
    const auto before = std::chrono::steady_clock::now();
    {
        file_watch slow(path, 1h);
        slow.start([] {});
    }
    EXPECT_LT(std::chrono::steady_clock::now() - before, 10s);
    file_watch never_started(path);
}

}  // namespace
}  // namespace crossfade::settings
