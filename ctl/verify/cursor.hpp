#pragma once

#include <memory>
#include <string>

#include "ctl/verify/digest.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::ctl::verify {

// The rows of digests_sql(), one at a time, however many they are. The connection is its own until the end is reached.
class digest_cursor {
  public:
    // Throws stop when the statement can't be sent.
    digest_cursor(pgclient::connection& on, const std::string& sql);

    // Null at the end. Valid until the next call of next(). Throws stop when the statement failed.
    const digest* current() const { return at_end_ ? nullptr : &current_; }
    void next();

  private:
    pgclient::connection& on_;
    digest current_;
    bool at_end_ = false;
};

}  // namespace crossfade::ctl::verify
