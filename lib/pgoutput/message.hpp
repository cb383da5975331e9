#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "lib/model/change.hpp"

// The messages of logical replication's output plugin `pgoutput`, protocol version 1, under the names of PostgreSQL's
// documentation, chapter "Logical Replication Message Formats".
namespace crossfade::pgoutput {

struct begin {
    model::lsn final_lsn;  // of the commit record, known already: a transaction is sent once it has committed
    model::source_time commit_time;
    std::uint32_t xid = 0;
};

struct commit {
    model::lsn commit_lsn;
    model::lsn end_lsn;  // after the commit record
    model::source_time commit_time;
};

struct origin {
    model::lsn commit_lsn;  // on the origin
    std::string name;
};

struct relation {
    model::relation described;
};

struct type {
    std::uint32_t oid = 0;
    std::string schema;
    std::string name;
};

struct row_message {
    std::uint32_t relation_oid = 0;
    model::row_operation operation = model::row_operation::insert;
    model::before_image before_kind = model::before_image::absent;
    model::row before;
    model::row after;
};

struct truncate {
    std::vector<std::uint32_t> relation_oids;
    bool cascade = false;
    bool restart_identity = false;
};

struct logical_message {
    bool transactional = false;
    model::lsn end_lsn;  // after the message's record: decode.c passes the record's end
    std::string prefix;
    std::string content;
};

using message = std::variant<begin, commit, origin, relation, type, row_message, truncate, logical_message>;

}  // namespace crossfade::pgoutput
