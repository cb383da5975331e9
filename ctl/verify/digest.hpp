#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ctl/catalog/facts.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::verify {

enum class difference_kind { missing, extra, different };  // as seen from modern
std::string_view to_string(difference_kind of);

struct difference {
    difference_kind kind = difference_kind::different;
    std::string key;  // a JSON object of the key's text values; the row's digest for a table without a key
    std::int64_t copies = 1;
};

// Of one side, so that both sides' are the same.
enum class text_bytes {
    as_stored,  // where that is UTF-8 as it is, or where nobody knows what it is
    converted,  // to UTF-8
};
text_bytes bytes_of(std::string_view server_encoding);

// How one table is compared.
struct comparison {
    model::table_name table;
    catalog::table_kind kind = catalog::table_kind::plain;         // of legacy
    catalog::table_kind modern_kind = catalog::table_kind::plain;  // one side's may be partitioned alone
    std::vector<std::string> columns;                              // in legacy's order, on both sides
    std::vector<std::string> key;                                  // empty: rows are compared as a bag
    std::vector<std::string> problems;                             // why it cannot be: columns that one side lacks
    text_bytes legacy_bytes = text_bytes::as_stored;
    text_bytes modern_bytes = text_bytes::as_stored;
};
comparison compare(const catalog::table& legacy, const catalog::table* modern);

// One row: count of rows, and the sum of their 64-bit hashes, which does not depend on their order and counts
// duplicates.
std::string aggregate_sql(const comparison& of, settings::side on);

// One row a key (JSON text, MD5 of the row, 1), or a kind of row (its MD5, its MD5, how often), sorted by the first in
// the order of its bytes in UTF-8 whatever the database's collation is.
std::string digests_sql(const comparison& of, settings::side on);

struct digest {
    std::string key;
    std::string md5;
    std::int64_t copies = 1;
};

// Merges two sorted streams of digests. Feed what each side has next; the end of a side is nullptr.
class merger {
  public:
    enum class advance { legacy, modern, both };

    // At least one side is given. Says which sides to move on, and keeps what differs.
    advance step(const digest* legacy, const digest* modern);

    const std::vector<difference>& kept() const { return kept_; }
    std::int64_t count(difference_kind of) const { return counts_[static_cast<std::size_t>(of)]; }
    explicit merger(std::size_t keep_at_most) : most_(keep_at_most) {}

  private:
    void note(difference_kind kind, const std::string& key, std::int64_t copies);

    std::size_t most_;
    std::vector<difference> kept_;
    std::int64_t counts_[3] = {0, 0, 0};
};

}  // namespace crossfade::ctl::verify
