#pragma once

#include <boost/json.hpp>
#include <exception>
#include <string>

#include "tests/support/http.hpp"
#include "tests/support/program.hpp"

namespace crossfade {

// What a program says of its stream: "state", "reason", "way_out". Empty while it says nothing.
inline std::string status_of(const support::crossfade_program& program, const char* what) {
    try {
        const auto said = boost::json::parse(support::http_get(program.admin_port(), "/api/v1/status").body);
        return std::string{said.at("stream").at(what).as_string()};
    } catch (const std::exception&) {
        return {};
    }
}

}  // namespace crossfade
