#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What is looked at before something is done, and what was found.
namespace crossfade::preflight {

// note: to be known, and in nobody's way.
enum class verdict { ok, note, warn, fail };

constexpr std::string_view to_string(verdict of) {
    switch (of) {
        case verdict::ok:
            return "ok";
        case verdict::note:
            return "note";
        case verdict::warn:
            return "warn";
        case verdict::fail:
            break;
    }
    return "FAIL";
}

constexpr bool is_in_the_way(verdict of) {
    return of == verdict::warn || of == verdict::fail;
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
    void note(std::string id, std::string found, std::string mend) {
        add({std::move(id), verdict::note, std::move(found), std::move(mend)});
    }
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
