#include "tests/support/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "tests/support/eventually.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::support {

namespace {

std::string found_in_path(const std::string& program) {
    if (program.find('/') != std::string::npos) return program;
    const char* path = std::getenv("PATH");
    std::string rest = path == nullptr ? "/usr/bin:/bin" : path;
    for (std::size_t from = 0; from <= rest.size();) {
        const auto to = std::min(rest.find(':', from), rest.size());
        const std::string candidate = rest.substr(from, to - from) + '/' + program;
        if (::access(candidate.c_str(), X_OK) == 0) return candidate;
        from = to + 1;
    }
    throw std::runtime_error(program + " is not in PATH");
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& added) {
    std::vector<std::string> all;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text{*entry};
        const auto same = [&](const auto& one) { return text.starts_with(one.first + '='); };
        if (std::none_of(added.begin(), added.end(), same)) all.emplace_back(text);
    }
    for (const auto& [name, value] : added) all.push_back(name + '=' + value);
    return all;
}

std::vector<char*> pointers(std::vector<std::string>& of) {
    std::vector<char*> list;
    for (auto& one : of) list.push_back(one.data());
    list.push_back(nullptr);
    return list;
}

struct account {
    uid_t user = 0;
    gid_t group = 0;
};

std::optional<account> account_for(run_as user) {
    if (user == run_as::self || ::geteuid() != 0) return std::nullopt;
    const passwd* found = ::getpwnam("postgres");
    if (found == nullptr) throw std::runtime_error("running as root, and there is no user postgres to run a server as");
    return account{found->pw_uid, found->pw_gid};
}

int open_output(const std::filesystem::path& at) {
    const char* name = at.empty() ? "/dev/null" : at.c_str();
    const int opened = ::open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (opened < 0) throw std::system_error(errno, std::generic_category(), name);
    return opened;
}

int exit_code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

child_process::child_process(const process_options& options) {
    // Everything that allocates happens before fork(): other threads may hold malloc's lock at that instant.
    auto arguments = options.argv;
    const std::string program = found_in_path(arguments.at(0));
    auto environment = environment_with(options.environment);
    const auto argv = pointers(arguments);
    const auto envp = pointers(environment);
    const auto as = account_for(options.user);
    const int err = open_output(options.log);
    const int out = open_output(options.standard_output.empty() ? options.log : options.standard_output);
    const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const pid_t parent = ::getpid();

    pid_ = ::fork();
    if (pid_ == 0) {
        constexpr int cannot_execute = 127;
        if (as && (::setgroups(0, nullptr) != 0 || ::setgid(as->group) != 0 || ::setuid(as->user) != 0))
            ::_exit(cannot_execute);
        // After setuid, which clears it.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(cannot_execute);
        sigset_t none;
        sigemptyset(&none);
        ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
        ::dup2(in, STDIN_FILENO);
        ::dup2(out, STDOUT_FILENO);
        ::dup2(err, STDERR_FILENO);
        ::execve(program.c_str(), argv.data(), envp.data());
        ::_exit(cannot_execute);
    }
    const int reason = errno;
    for (const int opened : {in, out, err}) ::close(opened);
    if (pid_ < 0) throw std::system_error(reason, std::generic_category(), "fork");
}

child_process::~child_process() {
    if (pid_ < 0 || !running()) return;
    ::kill(pid_, SIGKILL);
    wait_exit(std::chrono::seconds{10});
}

void child_process::signal(int number) const {
    if (pid_ > 0 && !exit_) ::kill(pid_, number);
}

bool child_process::running() {
    return !wait_exit(std::chrono::milliseconds{0});
}

std::optional<int> child_process::wait_exit(std::chrono::milliseconds timeout) {
    eventually(timeout, [&] {
        if (exit_) return true;
        int status = 0;
        if (::waitpid(pid_, &status, WNOHANG) == pid_) exit_ = exit_code_of(status);
        return exit_.has_value();
    });
    return exit_;
}

finished run(std::vector<std::string> argv, std::chrono::milliseconds timeout,
             std::vector<std::pair<std::string, std::string>> environment) {
    const temp_dir dir;
    process_options options{.argv = std::move(argv), .environment = std::move(environment)};
    options.log = dir.path() / "errors";
    options.standard_output = dir.path() / "output";
    child_process child{options};
    const auto code = child.wait_exit(timeout);
    if (!code) throw std::runtime_error(options.argv.front() + " did not end in time\n" + read_file(options.log));
    return {*code, read_file(options.standard_output), read_file(options.log)};
}

std::string read_file(const std::filesystem::path& path) {
    // Through <<, which takes a failing read for the end: a file of /proc can be opened and its process gone.
    std::ifstream in{path, std::ios::binary};
    std::ostringstream content;
    content << in.rdbuf();
    return std::move(content).str();
}

}  // namespace crossfade::support
