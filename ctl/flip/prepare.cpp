#include "ctl/flip/prepare.hpp"

#include "ctl/catalog/database.hpp"
#include "ctl/exit_code.hpp"
#include "lib/handover/pause.hpp"
#include "lib/model/table_name.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/fence.hpp"

namespace crossfade::ctl::flip {
namespace {

using namespace std::chrono_literals;
using catalog::ask;
using settings::side;

// For a look at a flip's gates, and for a proxy that clears up behind one.
constexpr auto flip_patience = 10s;
constexpr auto between_looks = 100ms;

std::string side_name(side of) {
    return std::string{to_string(of)};
}

// Creating a trigger waits for the writers of its table, and makes others wait behind it.
constexpr const char* lock_timeout = "SET LOCAL lock_timeout = '2s'; SET LOCAL crossfade.fencing = on; ";

int fence(const settings::configuration& config, side which, pgclient::connection& on, const std::string& publication,
          const settings::assignment& by) {
    const auto doing = "fencing " + side_name(which);
    auto found = store::load_fences(on, publication, config.tenants.column);
    if (!found) throw stop(exit_code::no, doing + ": " + to_string(found.error()));
    int changed = 0;
    for (const auto& each : *found) {
        const auto wanted = store::fence_of(by, which, config.flags, each);
        std::string sql;
        if (!each.prepared) sql += store::create_fence_sql(each);
        if (wanted != each.now) sql += store::set_fence_sql(each, wanted, config.tenants.column);
        if (sql.empty()) continue;
        ask(on, doing + " of " + each.name, "BEGIN; " + std::string{lock_timeout} + sql + "COMMIT");
        ++changed;
    }
    return changed;
}

// Of Crossfade's own tables the one that the gates of flips need. Behind the schema, which each stream has put on the
// side where it goes to.
bool carry_sentinel(side which, pgclient::connection& on, const std::string& publication) {
    const std::string doing = "publishing crossfade.sentinel on " + side_name(which);
    if (!ask(on, doing,
             "SELECT 1 FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname = $1::name"
             " AND r.prrelid = 'crossfade.sentinel'::regclass",
             {publication})
             .empty())
        return false;
    ask(on, doing, "ALTER PUBLICATION " + model::quote_identifier(publication) + " ADD TABLE crossfade.sentinel");
    return true;
}

// On the sessions that set the fences: while one of them lives nobody makes a flip.
class flip_lock {
  public:
    flip_lock(const std::string& stream, pgclient::connection& legacy, pgclient::connection& modern)
        : key_(store::handover_lock_key(stream)) {
        const auto until = std::chrono::steady_clock::now() + flip_patience;
        for (auto* each : {&legacy, &modern}) {
            while (!ask(*each, locking, "SELECT pg_try_advisory_lock($1::int, $2::int)", key_).boolean(0, 0)) {
                if (std::chrono::steady_clock::now() >= until)
                    throw stop(
                        exit_code::no, "a flip is under way, and what it sets is not for init to set back",
                        "wait for its end (crossfade flip --history; crossfade flip --settle if whoever made it is"
                        " gone), then crossfade init again");
                handover::pause({}, between_looks);
            }
            held_.push_back(each);
        }
    }
    ~flip_lock() {
        // What fails here is gone with its session.
        for (auto* each : held_) static_cast<void>(each->exec("SELECT pg_advisory_unlock($1::int, $2::int)", key_));
    }
    flip_lock(const flip_lock&) = delete;
    flip_lock& operator=(const flip_lock&) = delete;

  private:
    static constexpr const char* locking = "taking the flip's lock";

    std::vector<pgclient::parameter> key_;
    std::vector<pgclient::connection*> held_;
};

// An undecided flip is noted on the side alone that gives something away.
void require_settled(const std::optional<store::authority_row>& row) {
    if (row && row->state != store::handover_state::settled)
        throw stop(exit_code::no, "a flip was left behind", "crossfade flip --settle, then crossfade init again");
}

}  // namespace

std::vector<step> prepare(const settings::configuration& config, pgclient::connection& legacy,
                          pgclient::connection& modern) {
    const auto& stream = config.stream.name;
    std::vector<step> done;
    const flip_lock mine{stream, legacy, modern};
    const auto here = store::load_authority(legacy, stream);
    const auto there = store::load_authority(modern, stream);
    if (!here || !there)
        throw stop(exit_code::no, "reading who is the authority: " + to_string(here ? there.error() : here.error()));
    require_settled(*here);
    require_settled(*there);
    const auto* known = store::newer(*here, *there);
    // Groups and tenants change hands by flips alone, whatever the file says of them.
    const auto authorities = known != nullptr ? known->authorities : settings::assignment{config.authority(), {}};
    for (auto* each : {&legacy, &modern})
        ask(*each, "noting who is the authority", std::string{store::begin_authority_sql},
            {stream, side_name(authorities.everything)});
    done.push_back({"authority", to_string(authorities) + (known != nullptr ? "" : ", by the file")});

    for (const auto which : {side::legacy, side::modern}) {
        auto& on = which == side::legacy ? legacy : modern;
        const auto publication = "crossfade_" + (which == side::legacy ? stream : settings::back_stream(stream));
        if (carry_sentinel(which, on, publication))
            done.push_back({"sentinel on " + side_name(which), "carried by publication " + publication});
        const int changed = fence(config, which, on, publication, authorities);
        const std::string passes = !authorities.apart.empty()        ? "lets pass what is its own of"
                                   : authorities.everything == which ? "lets pass"
                                                                     : "refuses";
        done.push_back({"fence on " + side_name(which),
                        passes + " the application's writes" +
                            (changed > 0 ? ", set on " + std::to_string(changed) + " tables" : "")});
    }
    return done;
}

}  // namespace crossfade::ctl::flip
