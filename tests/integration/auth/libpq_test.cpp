#include <gmock/gmock.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "lib/auth/client_login.hpp"
#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/pgwire/startup.hpp"
#include "tests/integration/auth/wire.hpp"
#include "tests/support/postgres.hpp"

namespace crossfade::auth {
namespace {

using testing::HasSubstr;

// Takes one client and lets it in by client_login, with a certificate if there is one.
class scram_listener {
  public:
    explicit scram_listener(std::optional<certificate> with = std::nullopt) : certificate_(std::move(with)) {
        listening_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof at;
        if (::bind(listening_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
            ::listen(listening_, 1) != 0 || ::getsockname(listening_, reinterpret_cast<sockaddr*>(&at), &length) != 0)
            throw std::runtime_error("no listener");
        port_ = ntohs(at.sin_port);
    }
    ~scram_listener() { ::close(listening_); }
    scram_listener(const scram_listener&) = delete;
    scram_listener& operator=(const scram_listener&) = delete;

    std::uint16_t port() const { return port_; }

    // What the client's log-in gave; nothing when it failed, which it is told.
    std::optional<scram_keys> serve(const scram_subject& subject) {
        wire client(::accept(listening_, nullptr, nullptr));
        auto packet = pgwire::parse_startup(client.read_startup()).value();
        std::optional<std::string> channel;
        if (std::holds_alternative<pgwire::ssl_request>(packet)) {
            client.send(certificate_ ? "S" : "N");
            if (certificate_) {
                client.start_tls_as_server(*certificate_);
                channel = client.end_point();
            }
            packet = pgwire::parse_startup(client.read_startup()).value();
        }
        const auto& opening = std::get<pgwire::startup_message>(packet);
        client_login login(subject, std::string(opening.parameter("user")), channel);
        client.send(login.open());
        for (;;) {
            const auto next = client.read_message();
            if (next.type != pgwire::frontend::password_message) throw std::runtime_error("no password message");
            const auto step = login.receive(next.body);
            if (const auto* reply = std::get_if<login_reply>(&step)) {
                client.send(reply->message);
            } else if (const auto* failed = std::get_if<login_failure>(&step)) {
                client.send(failed->message);
                return std::nullopt;
            } else {
                const auto& success = std::get<login_success>(step);
                client.send(success.message + pgwire::build_ready_for_query(pgwire::transaction_status::idle));
                return success.keys;
            }
        }
    }

  private:
    std::optional<certificate> certificate_;
    int listening_ = -1;
    std::uint16_t port_ = 0;
};

struct login_result {
    std::string said;  // empty: connected
    std::optional<scram_keys> keys;
};

login_result connect(scram_listener& to, const scram_subject& subject, const std::string& password,
                     const std::string& options) {
    auto served = std::async(std::launch::async, [&]() -> std::optional<scram_keys> {
        try {
            return to.serve(subject);
        } catch (const std::exception&) {
            return std::nullopt;  // libpq has closed, and says why
        }
    });
    const auto dsn = "host=127.0.0.1 port=" + std::to_string(to.port()) + " dbname=app user=ann password='" + password +
                     "' connect_timeout=30 gssencmode=disable " + options;
    std::unique_ptr<PGconn, decltype(&PQfinish)> made(PQconnectdb(dsn.c_str()), PQfinish);
    login_result result;
    if (PQstatus(made.get()) != CONNECTION_OK) result.said = PQerrorMessage(made.get());
    made.reset();  // one that has failed keeps its socket open until then, and the listener waits
    result.keys = served.get();
    return result;
}

const scram_subject subject{make_scram_verifier("pencil", "some salt", 4096), true};

TEST(libpq, logs_in_to_us) {
    const auto shown = make_certificate();
    struct {
        const char* what;
        bool tls;
        const char* options;
    } table[] = {
        {"in clear", false, "sslmode=disable"},
        {"in clear, having asked for TLS", false, "sslmode=prefer"},
        {"bound to the channel", true, "sslmode=require channel_binding=require"},
        {"bound where that is offered", true, "sslmode=require channel_binding=prefer"},
        {"not bound", true, "sslmode=require channel_binding=disable"},
    };
    for (const auto& each : table) {
        scram_listener listener(each.tls ? std::optional(shown) : std::nullopt);
        const auto result = connect(listener, subject, "pencil", each.options);
        EXPECT_EQ(result.said, "") << each.what;
        EXPECT_EQ(result.keys, scram_keys_of("pencil", "some salt", 4096)) << each.what;
    }
}

TEST(libpq, is_refused_by_us_as_by_postgresql) {
    struct {
        const char* what;
        scram_subject subject;
        const char* password;
    } table[] = {
        {"another password", subject, "Pencil"},
        {"nobody by that name", {scram_mock().verifier_for("ann"), false}, "pencil"},
        {"one who may not", {subject.verifier, false}, "pencil"},
    };
    for (const auto& each : table) {
        scram_listener listener;
        const auto result = connect(listener, each.subject, each.password, "sslmode=disable");
        EXPECT_THAT(result.said, HasSubstr("FATAL:  password authentication failed for user \"ann\"")) << each.what;
        EXPECT_FALSE(result.keys);
    }
    scram_listener without_tls;
    EXPECT_THAT(connect(without_tls, subject, "pencil", "sslmode=disable channel_binding=require").said,
                HasSubstr("channel binding"));
}

TEST(libpq, normalises_passwords_as_we_do) {
    for (const char* known : {"p\xc3\xa4ss", "pa\xcc\x88ss"}) {
        for (const char* typed : {"p\xc3\xa4ss", "pa\xcc\x88ss"}) {
            scram_listener listener;
            const scram_subject of_known{make_scram_verifier(known, "some salt", 4096), true};
            EXPECT_EQ(connect(listener, of_known, typed, "sslmode=disable").said, "");
        }
    }
}

// The whole way: a client logs in to us by the database's own verifier, and its keys let us in to the database.
TEST(libpq, is_passed_on_to_a_server_with_the_same_verifier) {
    support::postgres_cluster server;
    {
        const auto hba = server.data_dir() / "pg_hba.conf";
        std::FILE* file = std::fopen(hba.c_str(), "w");
        ASSERT_NE(file, nullptr);
        std::fputs("host all crossfade 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n", file);
        std::fclose(file);
    }
    server.start();
    server.exec("CREATE ROLE ann LOGIN PASSWORD 'pencil'");
    const auto stored = server.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'ann'");

    scram_listener listener;
    const auto result = connect(listener, {parse_scram_verifier(stored).value(), true}, "pencil", "sslmode=disable");
    ASSERT_EQ(result.said, "");
    EXPECT_EQ(log_in(server.port(), "ann", secret_for_server(nullptr, result.keys)), "ready");
}

}  // namespace
}  // namespace crossfade::auth
