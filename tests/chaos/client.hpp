#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <string>

namespace crossfade::chaos {

enum class answer {
    done,
    refused,  // an ERROR; the connection goes on
    lost,     // the connection is gone
    nothing,  // no answer for half a minute: a stuck session is a finding, not the end of the test
};

struct finish {
    void operator()(PGconn* of) const { PQfinish(of); }
};
using connection = std::unique_ptr<PGconn, finish>;

connection connect(const std::string& dsn);  // null: refused, or not reached within 5 s

// As an application does before it connects again.
void pause_after_failure();
void pause_for(std::chrono::milliseconds time);  // with other things to do

// PQexec that can't hang.
answer execute(PGconn* on, const std::string& sql);

}  // namespace crossfade::chaos
