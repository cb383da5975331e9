#pragma once

#include <pg_query/pg_query.pb-c.h>

#include <cstddef>
#include <memory>
#include <memory_resource>
#include <span>
#include <string_view>

#include "lib/sql/understand.hpp"

namespace crossfade::sql {

// What libpg_query's parser makes of a text. The nodes live as long as this does.
class parse_tree {
  public:
    // The text ends with a zero byte and is known to nest no deeper than the stack allows: see nesting.hpp.
    static boost::system::result<parse_tree, not_understood> of(const char* text, std::size_t length);

    std::span<PgQuery__RawStmt* const> statements() const& { return {tree_->stmts, tree_->n_stmts}; }
    void statements() const&& = delete;

  private:
    parse_tree(std::unique_ptr<std::pmr::monotonic_buffer_resource> memory, const PgQuery__ParseResult* tree)
        : memory_(std::move(memory)), tree_(tree) {}

    std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_;
    const PgQuery__ParseResult* tree_;
};

// The tokens of a text, comments among them; nothing if it can't be cut into tokens.
class token_list {
  public:
    explicit token_list(const char* text);
    std::span<PgQuery__ScanToken* const> tokens() const&;
    void tokens() const&& = delete;

  private:
    std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_;
    const PgQuery__ScanResult* scanned_ = nullptr;
};

// libpg_query's fingerprint of one statement whose text has been parsed before.
std::uint64_t fingerprint(const char* text);

}  // namespace crossfade::sql
