#pragma once

#include <cstddef>
#include <map>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "lib/sql/nodes.hpp"
#include "lib/sql/statement.hpp"

namespace crossfade::sql {

// Walks the tree of one statement and notes its tables and calls. It goes through every field of every node, so that a
// table or a call can't hide in a clause that nobody thought of; what needs care has a function here.
class survey {
  public:
    // What the statement does to the tables that it names outside of a query.
    enum class role : std::uint8_t { read, written, locked, defined };
    survey(statement& into, role outside_queries) : into_(into), role_(outside_queries) {}

    void walk(const PgQuery__Node* node);
    void walk(const ProtobufCMessage* message);
    // For statements that name tables by lists of strings, as DROP.
    void table(std::string_view schema, std::string_view name);

    // Whether rows are changed, rows are locked, a table is made by SELECT INTO, anything is made temporary.
    bool writes() const { return writes_; }
    bool locks() const { return locks_; }
    bool makes_table() const { return makes_table_; }
    bool makes_temporary() const { return makes_temporary_; }

  private:
    // FOR UPDATE and the like, as far as the FROM that is being walked is concerned.
    struct locking {
        bool everything = false;
        std::unordered_set<std::string_view> names;  // as the FROM calls them: aliases
        bool covers(std::string_view name) const { return everything || names.contains(name); }
    };
    // The names of a WITH, while the statement that has it is being walked.
    class with_scope {
      public:
        with_scope(survey& owner, const PgQuery__WithClause* with);
        ~with_scope();
        with_scope(const with_scope&) = delete;
        with_scope& operator=(const with_scope&) = delete;

      private:
        void add(std::string_view name);

        survey& owner_;
        std::vector<std::string_view> names_;
    };

    void select(const PgQuery__SelectStmt& query);
    template <class Change>
    void change(const Change& statement);
    void range_var(const PgQuery__RangeVar& table);
    void subquery_in_from(const PgQuery__RangeSubselect& from);
    void into(const PgQuery__IntoClause& clause);
    void cast(const PgQuery__TypeName* to);
    void column(const PgQuery__ColumnRef& named);
    void function(const PgQuery__FuncCall& call);
    void set_config(const PgQuery__FuncCall& call);
    void expression(const PgQuery__AExpr& operation);
    void operator_name(std::size_t count, PgQuery__Node* const* names);
    void children(const ProtobufCMessage& message);

    void at_least(volatility how) { into_.calls = std::max(into_.calls, how); }
    table_use& use_of(std::string_view schema, std::string_view name);

    statement& into_;
    role role_;
    const locking* locking_ = nullptr;
    bool in_cte_ = false;
    bool writes_ = false;
    bool locks_ = false;
    bool makes_table_ = false;
    bool makes_temporary_ = false;
    std::unordered_map<std::string_view, unsigned> ctes_;
    std::map<std::pair<std::string_view, std::string_view>, std::size_t> places_;
};

}  // namespace crossfade::sql
