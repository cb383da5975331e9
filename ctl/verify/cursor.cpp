#include "ctl/verify/cursor.hpp"

#include "ctl/exit_code.hpp"

namespace crossfade::ctl::verify {

digest_cursor::digest_cursor(pgclient::connection& on, const std::string& sql) : on_(on) {
    if (PQsendQuery(on.native(), sql.c_str()) != 1 || PQsetSingleRowMode(on.native()) != 1)
        throw stop(exit_code::unreachable, "comparing: " + to_string(on.failure_of(nullptr)));
    next();
}

void digest_cursor::next() {
    while (true) {
        const pgclient::rows got{PQgetResult(on_.native())};
        if (got.native() == nullptr) {
            at_end_ = true;
            return;
        }
        switch (PQresultStatus(got.native())) {
            case PGRES_SINGLE_TUPLE:
                current_.key = got.text(0, 0);
                current_.md5 = got.text(0, 1);
                current_.copies = got.integer(0, 2).value_or(1);
                return;
            case PGRES_TUPLES_OK:
                continue;
            default: {
                const auto what = on_.failure_of(got.native());
                throw stop(what.connection_lost() ? exit_code::unreachable : exit_code::no,
                           "comparing: " + to_string(what));
            }
        }
    }
}

}  // namespace crossfade::ctl::verify
