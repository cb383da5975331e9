#pragma once

#include <boost/json.hpp>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"

namespace crossfade::ctl::init {

// What was done, in order.
class journal {
  public:
    void note(std::string what, std::string outcome) { entries_.push_back({std::move(what), std::move(outcome)}); }
    std::size_t size() const { return entries_.size(); }

    // From the one behind the first `begin` on.
    boost::json::array steps(std::size_t begin = 0) const {
        boost::json::array all;
        for (std::size_t i = begin; i < entries_.size(); ++i)
            all.push_back({{"what", entries_[i].what}, {"outcome", entries_[i].outcome}});
        return all;
    }

    void print(const context& in, bool fresh) const {
        const std::string next = fresh ? "copy what is there already: crossfade backfill" : "crossfade status";
        if (in.json()) {
            in.out << output::pretty({{"steps", steps()}, {"next", next}});
            return;
        }
        output::table table({{"what"}, {"outcome"}});
        for (const auto& each : entries_) table.add({each.what, each.outcome});
        in.out << table.render() << "\nready; next: " << next << '\n';
    }

    void remark(std::ostream& notes) const {
        for (const auto& each : entries_) notes << each.what << ": " << each.outcome << '\n';
    }

  private:
    struct entry {
        std::string what;
        std::string outcome;
    };
    std::vector<entry> entries_;
};

}  // namespace crossfade::ctl::init
