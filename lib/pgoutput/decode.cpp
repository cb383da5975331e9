#include "lib/pgoutput/decode.hpp"

#include <boost/system/errc.hpp>

#include "lib/pgoutput/byte_reader.hpp"

namespace crossfade::pgoutput {

namespace {

// TupleData: Int16 columns; each 'n', 'u', or 't' with Int32 length and text.
model::row read_tuple(byte_reader& from) {
    const auto columns = from.integer<std::uint16_t>();
    if (columns > from.remaining().size()) from.fail();
    model::row cells(from.ok() ? columns : 0);
    for (auto& cell : cells) {
        switch (from.byte()) {
            case 'n':
                break;
            case 'u':
                cell.kind = model::cell_kind::unchanged;
                break;
            case 't':
                cell.kind = model::cell_kind::text;
                cell.text = from.bytes(from.integer<std::uint32_t>());
                break;
            default:
                from.fail();
        }
        if (!from.ok()) break;
    }
    return cells;
}

message read_begin(byte_reader& from) {
    begin to;
    to.final_lsn = from.lsn();
    to.commit_time = from.time();
    to.xid = from.integer<std::uint32_t>();
    return to;
}

message read_commit(byte_reader& from) {
    commit to;
    from.byte();  // flags, unused
    to.commit_lsn = from.lsn();
    to.end_lsn = from.lsn();
    to.commit_time = from.time();
    return to;
}

message read_origin(byte_reader& from) {
    origin to;
    to.commit_lsn = from.lsn();
    to.name = from.c_string();
    return to;
}

message read_relation(byte_reader& from) {
    model::relation to;
    to.oid = from.integer<std::uint32_t>();
    const auto schema = from.c_string();
    to.table.schema = schema.empty() ? "pg_catalog" : schema;
    to.table.name = from.c_string();
    switch (from.byte()) {
        case 'd':
            to.identity = model::replica_identity::primary_key;
            break;
        case 'n':
            to.identity = model::replica_identity::nothing;
            break;
        case 'f':
            to.identity = model::replica_identity::full;
            break;
        case 'i':
            to.identity = model::replica_identity::index;
            break;
        default:
            from.fail();
    }
    const auto columns = from.integer<std::uint16_t>();
    for (unsigned i = 0; i < columns && from.ok(); ++i) {
        auto& column = to.columns.emplace_back();
        column.key = (from.byte() & 1U) != 0;
        column.name = from.c_string();
        column.type_oid = from.integer<std::uint32_t>();
        column.type_modifier = static_cast<std::int32_t>(from.integer<std::uint32_t>());
    }
    return relation{std::move(to)};
}

message read_type(byte_reader& from) {
    type to;
    to.oid = from.integer<std::uint32_t>();
    to.schema = from.c_string();
    to.name = from.c_string();
    return to;
}

// Insert: Int32 oid, 'N' tuple. Update: Int32 oid, ['K' key | 'O' whole row before], 'N' tuple.
// Delete: Int32 oid, 'K' key | 'O' whole row before.
message read_row(byte_reader& from, model::row_operation operation) {
    row_message to;
    to.operation = operation;
    to.relation_oid = from.integer<std::uint32_t>();
    auto part = from.byte();
    if (operation != model::row_operation::insert && (part == 'K' || part == 'O')) {
        to.before_kind = part == 'K' ? model::before_image::key : model::before_image::whole;
        to.before = read_tuple(from);
        if (operation == model::row_operation::remove) return to;
        part = from.byte();
    }
    if (operation == model::row_operation::remove || part != 'N') {
        from.fail();
    } else {
        to.after = read_tuple(from);
    }
    return to;
}

message read_truncate(byte_reader& from) {
    truncate to;
    const auto relations = from.integer<std::uint32_t>();
    const auto options = from.byte();
    to.cascade = (options & 1U) != 0;
    to.restart_identity = (options & 2U) != 0;
    if (relations == 0 || relations > from.remaining().size() / sizeof(std::uint32_t)) from.fail();
    for (std::uint32_t i = 0; i < relations && from.ok(); ++i)
        to.relation_oids.push_back(from.integer<std::uint32_t>());
    return to;
}

message read_logical_message(byte_reader& from) {
    logical_message to;
    to.transactional = (from.byte() & 1U) != 0;
    to.end_lsn = from.lsn();
    to.prefix = from.c_string();
    to.content = from.bytes(from.integer<std::uint32_t>());
    return to;
}

message read(byte_reader& from) {
    switch (from.byte()) {
        case 'B':
            return read_begin(from);
        case 'C':
            return read_commit(from);
        case 'O':
            return read_origin(from);
        case 'R':
            return read_relation(from);
        case 'Y':
            return read_type(from);
        case 'I':
            return read_row(from, model::row_operation::insert);
        case 'U':
            return read_row(from, model::row_operation::update);
        case 'D':
            return read_row(from, model::row_operation::remove);
        case 'T':
            return read_truncate(from);
        case 'M':
            return read_logical_message(from);
        default:
            from.fail();
            return {};
    }
}

}  // namespace

boost::system::result<message> decode(std::string_view bytes) {
    byte_reader from{bytes};
    auto got = read(from);
    if (!from.ok_and_empty()) return boost::system::errc::make_error_code(boost::system::errc::bad_message);
    return got;
}

}  // namespace crossfade::pgoutput
