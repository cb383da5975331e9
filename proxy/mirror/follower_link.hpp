#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "lib/store/receipts.hpp"
#include "proxy/mirror/table_facts.hpp"

namespace crossfade::proxy::mirror {

// A row as a transaction of the authority leaves it, or the one that it takes away.
struct mirrored_row {
    enum class change : std::uint8_t { insert, put, update, remove };
    std::shared_ptr<const table_facts> table;
    change what = change::insert;
    std::vector<std::optional<std::string>> values;  // one a column of the table
    bool sets_ties = false;                          // its statement does; see sets_ties()
};

// What one transaction of the authority has written, in its order.
struct mirrored_transaction {
    store::source_xid id = 0;
    std::vector<mirrored_row> rows;
};

// A connection to the follower on which one transaction of the authority at a time is written. Opening it waits; from
// then on nothing does: libpq's pipeline mode, for an event loop that watches socket().
class follower_link {
  public:
    struct options {
        std::string dsn;
        std::string stream;
        std::chrono::milliseconds timeout{1000};  // proxy.mirror_timeout: the server gives up on its own then
        bool needs_origin = false;                // where who wrote a row is told by it (docs/adr/0004, 0024)
    };
    // Fails like any connection; with 55006 or 53400 where there is no origin to be had.
    static pgclient::result<std::unique_ptr<follower_link>> open(const options& how);

    int socket() const;
    // Whether the server has not ended it, as far as has come here. Between transactions; waits for nothing.
    bool lives();
    // Whether triggers and foreign keys are kept from firing.
    bool replica_role() const { return replica_role_; }

    enum class state : std::uint8_t {
        busy,    // look() again when the socket has something to read, or to take where wants_room()
        done,    // what was asked last is done
        failed,  // it isn't, for why(); roll_back() is next
    };
    // Writes the rows that there are by now of a transaction of which more may come, and which may yet be undone. busy
    // or failed; nobody has to wait for it.
    state send_ahead(const mirrored_transaction& so_far);
    // Writes the rows, or those of them that weren't sent ahead, and the receipt, and leaves the transaction open. Done
    // at once where all rows were sent ahead, and are there: then the receipt goes with the commit.
    state write(const mirrored_transaction& what);
    // Ends it. A failure of the connection leaves open whether it has ended.
    state commit();
    state look();
    // Undoes what was written, without waiting: the link may be used for another transaction at once, which then waits
    // for what is still under way. False: it is of no use any more.
    bool roll_back();

    bool wants_room() const { return wants_room_; }
    const pgclient::failure& why() const { return why_; }
    // Whether it failed as a row isn't there with the values in its tied columns that its statement says.
    bool lacks_ties() const { return lacks_ties_; }
    // The table whose row it failed by; null where it was something else.
    const table_facts* stumbled_over() const { return at_fault_.get(); }
    // The table that doesn't take rows as they are, if that is what it failed by.
    const table_facts* at_fault() const;
    // By oid, of the transaction that is under way or was the last.
    const std::vector<std::uint32_t>& tables() const { return tables_; }

  private:
    follower_link(pgclient::connection db, std::string stream, bool replica_role)
        : db_(std::move(db)), stream_(std::move(stream)), replica_role_(replica_role) {}

    using parameters = std::vector<std::optional<std::string>>;
    // Prepares it where it isn't yet. `row_of`: it has to touch one row, of that table.
    bool ask(const std::string& name, const std::string& sql, const parameters& values,
             std::shared_ptr<const table_facts> row_of = nullptr, bool sets_ties = false);
    bool ask_row(const mirrored_row& row);
    bool ask_to_begin_ahead(store::source_xid of);
    bool ask_rows_of(const mirrored_transaction& what);
    // Sends what was asked. `as`: what the server is told of it.
    enum class piece : std::uint8_t {
        whole,    // an error has it skip no more than that
        to_tell,  // the rest comes later, and it answers what it has
    };
    state sent(bool well, piece as = piece::whole);
    bool flush();
    state look_once();
    bool has_more_to_read() const;
    bool is_due() const { return ends_ > 0 || !asked_.empty(); }
    state fail(const PGresult* with);

    void refuse(pgclient::failure why, std::shared_ptr<const table_facts> row_of);

    pgclient::connection db_;
    std::string stream_;
    bool replica_role_;
    std::set<std::string, std::less<>> prepared_;
    struct question {
        std::shared_ptr<const table_facts> row_of;
        std::string prepares;  // a statement's name; it touches no row then
        bool sets_ties = false;
        bool given_up = false;
    };
    std::deque<question> asked_;  // not yet answered
    std::size_t ends_ = 0;        // of pipelines, likewise
    bool open_ = false;           // the pipeline has no end yet
    std::size_t rows_asked_ = 0;  // of the transaction under way
    std::vector<std::uint32_t> tables_;
    bool wants_room_ = false;
    bool broken_ = false;  // what was asked and what is answered may not go together any more
    pgclient::failure why_;
    bool lacks_ties_ = false;
    std::shared_ptr<const table_facts> at_fault_;
};

}  // namespace crossfade::proxy::mirror
