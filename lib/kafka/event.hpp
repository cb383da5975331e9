#pragma once

#include <optional>

#include "lib/kafka/client.hpp"

namespace crossfade::kafka {

// The failure that an error event, or a code from elsewhere, stands for. `fatal` when `client` itself says so.
failure failure_of(rd_kafka_t* client, rd_kafka_event_t* error_event);
failure failure_of(rd_kafka_t* client, rd_kafka_resp_err_t code);

// A log event's line, to spdlog.
void log_line(rd_kafka_event_t* log_event);

// Takes what waits in a client's main queue and isn't a delivery: log lines go to spdlog. Returns the last error that
// says something, or the fatal one.
std::optional<failure> drain(rd_kafka_t* client);

// What a request that got no answer failed of: "Broker transport failure" or "Timed out" alone helps nobody, and the
// client's own last error says what the transport said. Names the properties to look at where it is TLS or the log-in.
failure explained(rd_kafka_t* client, rd_kafka_resp_err_t code);

}  // namespace crossfade::kafka
