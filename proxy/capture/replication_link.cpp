#include "proxy/capture/replication_link.hpp"

#include <sys/socket.h>

#include <charconv>
#include <utility>

#include "lib/model/table_name.hpp"

namespace crossfade::proxy::capture {

namespace {

pgclient::failure unexpected(const std::string& what) {
    return {"08P01", what, {}, {}, {}};
}

}  // namespace

pgclient::result<replication_link> replication_link::open(const std::string& dsn) {
    pgclient::open_options options;
    options.application_name = "crossfade-capture";
    options.replication = true;
    auto connection = pgclient::connection::open(dsn, options);
    if (!connection) return connection.error();
    return replication_link{std::move(*connection)};
}

pgclient::result<source_identity> replication_link::identify() {
    const auto got = connection_.exec("IDENTIFY_SYSTEM");
    if (!got) return got.error();
    source_identity identity;
    const auto read = [&](int column, auto& to) {
        const auto digits = got->text(0, column);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), to);
        return error == std::errc{} && end == digits.data() + digits.size();
    };
    std::uint32_t timeline = 0;
    if (got->size() != 1 || !read(0, identity.system_identifier) || !read(1, timeline))
        return unexpected("IDENTIFY_SYSTEM answered something else");
    auto history = history_of(timeline);
    if (!history) return history.error();
    identity.timelines = std::move(*history);
    return identity;
}

pgclient::result<model::timeline_history> replication_link::history_of(std::uint32_t timeline) {
    // The first one has none.
    if (timeline <= 1) return model::timeline_history{timeline, {}};
    const auto file = connection_.exec("TIMELINE_HISTORY " + std::to_string(timeline));
    if (!file) return file.error();
    auto left = file->size() == 1 ? model::parse_timeline_history(file->text(0, 1)) : std::nullopt;
    if (!left) return unexpected("the history of timeline " + std::to_string(timeline) + " can't be read");
    return model::timeline_history{timeline, std::move(*left)};
}

pgclient::result<void> replication_link::start(const std::string& slot, const std::string& publication) {
    const auto started =
        connection_.exec("START_REPLICATION SLOT " + model::quote_identifier(slot) +
                         " LOGICAL 0/0 (proto_version '1', publication_names " +
                         pgclient::quote_literal(model::quote_identifier(publication)) + ", messages 'true')");
    if (!started) return started.error();
    if (PQresultStatus(started->native()) != PGRES_COPY_BOTH)
        return unexpected("START_REPLICATION answered something else");
    if (PQsetnonblocking(connection_.native(), 1) != 0) return connection_.failure_of(nullptr);
    return {};
}

replication_link::arrival replication_link::next() {
    char* bytes = nullptr;
    const int length = PQgetCopyData(connection_.native(), &bytes, 1);
    frame_.reset(bytes);
    if (length > 0) return std::string_view{bytes, static_cast<std::size_t>(length)};
    if (length == 0) return nothing_yet{};
    // -1: the server ended the stream, with an error or (at its shutdown) without; -2: the connection broke.
    const pgclient::rows last{PQgetResult(connection_.native())};
    if (last.native() == nullptr || PQresultStatus(last.native()) == PGRES_COMMAND_OK ||
        PQresultStatus(last.native()) == PGRES_COPY_IN)
        return pgclient::failure{"57P01", "the server ended the stream", {}, {}, {}};
    return connection_.failure_of(last.native());
}

void replication_link::receive() {
    // A broken connection shows in next(), after what came before the break.
    static_cast<void>(PQconsumeInput(connection_.native()));
}

void replication_link::wake_at(int bytes) {
    if (std::exchange(woken_at_, bytes) == bytes) return;
    // Where it is refused, the socket is readable earlier than it would have to be.
    static_cast<void>(::setsockopt(socket(), SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)));
}

pgclient::result<void> replication_link::send(const pgoutput::standby_status& status) {
    if (wants_to_write_) return flush();
    const auto bytes = pgoutput::encode(status);
    if (PQputCopyData(connection_.native(), bytes.data(), static_cast<int>(bytes.size())) < 0)
        return connection_.failure_of(nullptr);
    return flush();
}

pgclient::result<void> replication_link::flush() {
    const int left = PQflush(connection_.native());
    if (left < 0) return connection_.failure_of(nullptr);
    wants_to_write_ = left > 0;
    return {};
}

}  // namespace crossfade::proxy::capture
