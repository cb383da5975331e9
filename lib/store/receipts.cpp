#include "lib/store/receipts.hpp"

#include <algorithm>

namespace crossfade::store {
namespace {

// FNV-1a, as std::hash is another one in each library.
class fnv {
  public:
    // Its length goes in front, so that no two lists of texts are one row of bytes.
    void add(std::string_view text) {
        for (auto left = text.size(), byte = std::size_t{0}; byte < 8; ++byte, left >>= 8)
            add(static_cast<unsigned char>(left));
        for (const char c : text) add(static_cast<unsigned char>(c));
    }
    std::int64_t value() const { return static_cast<std::int64_t>(hash_); }

  private:
    void add(unsigned char byte) { hash_ = (hash_ ^ byte) * 1099511628211U; }

    std::uint64_t hash_ = 14695981039346656037U;
};

}  // namespace

std::int64_t row_mark(const model::table_name& table,
                      std::span<const std::pair<std::string_view, std::string_view>> key) {
    std::vector<std::pair<std::string_view, std::string_view>> sorted{key.begin(), key.end()};
    std::ranges::sort(sorted);
    fnv hash;
    hash.add(table.schema);
    hash.add(table.name);
    for (const auto& [column, value] : sorted) {
        hash.add(column);
        hash.add(value);
    }
    return hash.value();
}

}  // namespace crossfade::store
