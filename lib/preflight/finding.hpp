#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What is looked at before something is done, and what was found.
namespace crossfade::preflight {

enum class verdict { ok, warn, fail };

constexpr std::string_view to_string(verdict of) {
    return of == verdict::ok ? "ok" : of == verdict::warn ? "warn" : "FAIL";
}

// One question and its answer.
struct finding {
    std::string id;  // stable, for machines: "legacy.wal_level"
    verdict outcome = verdict::ok;
    std::string found;
    std::string mend;  // SQL or setting; empty when there is nothing to mend
};

class findings {
  public:
    void ok(std::string id, std::string found) { add({std::move(id), verdict::ok, std::move(found), {}}); }
    void warn(std::string id, std::string found, std::string mend) {
        add({std::move(id), verdict::warn, std::move(found), std::move(mend)});
    }
    void fail(std::string id, std::string found, std::string mend) {
        add({std::move(id), verdict::fail, std::move(found), std::move(mend)});
    }
    void add(finding one) { all_.push_back(std::move(one)); }

    const std::vector<finding>& all() const { return all_; }
    auto count(verdict of) const {
        return std::ranges::count_if(all_, [of](const finding& each) { return each.outcome == of; });
    }

  private:
    std::vector<finding> all_;
};

}  // namespace crossfade::preflight
