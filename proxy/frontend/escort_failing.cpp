// Transactions that are made to fail, as their rows can't be on the follower in time: on_mirror_failure.
#include <algorithm>

#include "lib/pgwire/query_messages.hpp"
#include "proxy/frontend/escort.hpp"
#include "proxy/frontend/mirror_gate.hpp"

namespace crossfade::proxy::frontend {
namespace {

using mirror::leave_reason;

// Raised by the server, so that it stands where it would stand if the server had found it.
std::string failing_text(leave_reason why) {
    constexpr const char* message = "the transaction is rolled back, as its rows can''t be on modern in time";
    const char* const detail = why == leave_reason::refused ? "modern refused its rows, or was too slow"
                                                            : "modern, or the stream to it, is away";
    constexpr const char* hint =
        "on_mirror_failure is fail. Nothing is committed, and it may be tried again; crossfade status says how modern "
        "is.";
    return std::string{"DO $crossfade$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XF003', MESSAGE = '"} + message +
           "', DETAIL = '" + detail + "', HINT = '" + hint + "'; END $crossfade$";
}

}  // namespace

bool escort::must_fail(const sql::understanding* known, const circumstances& now) {
    if (!active_ || !may_fail_) return false;
    if (debt_of(known, now.flags, now.facts, books_.targets().get()) != mirror_debt::or_fail) return false;
    has_to_be_in_time_ = true;
    return now.away && !skipping_;
}

std::optional<leave_reason> escort::must_not_commit(const circumstances& now) {
    if (commit_fails_) return std::exchange(commit_fails_, std::nullopt);
    if (now.where.status() == pgwire::transaction_status::failed || !would_be_late(now)) return std::nullopt;
    owe_follower_nothing();
    return leave_reason::no_follower;
}

// Of the extended protocol, as soon as it is known that it will be carried out.
std::optional<escort::client_step> escort::look_at_commit(const sql::effect::commit& it, const circumstances& now) {
    if (!it.chain && must_wait_to_commit(now.where)) return hold_commit();
    const auto why = must_not_commit(now);
    return why ? std::optional{fail_batch(0, *why)} : std::nullopt;
}

bool escort::is_asked(const due& each) {
    return each.how.or_fail;
}

bool escort::would_be_late(const circumstances& now) const {
    if (!active_ || !now.away || skipping_) return false;
    return has_to_be_in_time_ || (has_to_be_mirrored_ && wrote_ && !on_follower_) ||
           std::ranges::any_of(due_, is_asked);
}

void escort::owe_follower_nothing() {
    forgiven_.mirrored = forgiven_.mirrored || has_to_be_mirrored_ || std::ranges::any_of(due_, is_asked);
    forgiven_.in_time = forgiven_.in_time || has_to_be_in_time_;
    has_to_be_mirrored_ = has_to_be_in_time_ = false;
    for (auto& each : due_) each.how.or_fail = false;
}

escort::client_step escort::fail_query(std::size_t bytes, leave_reason why) {
    books_.count_failed(why);
    out_ = pgwire::build_query(failing_text(why));
    owe({due::kind::query});
    return replace(bytes, "Q", true);
}

// Outside of the transaction, as after a COMMIT that fails.
escort::client_step escort::fail_commit(std::size_t bytes, leave_reason why) {
    books_.count_failed(why);
    ends_explicitly_ = true;
    phase_ = phase::committing;
    out_ = pgwire::build_query("ROLLBACK; " + failing_text(why));
    owe({due::kind::query, true});  // the client hears nothing of the ROLLBACK
    return replace(bytes, "Q", true);
}

std::string escort::failing_batch(leave_reason why) {
    books_.count_failed(why);
    for (const auto each : {due::kind::close, due::kind::parse, due::kind::bind}) owe({each, true});
    owe({due::kind::execute});
    skipping_ = true;  // whatever follows, up to a Sync
    const std::string name = "crossfade.fail";
    return pgwire::build_close(pgwire::named::statement, name) + pgwire::build_parse(name, failing_text(why)) +
           pgwire::build_bind("", name, {}) + pgwire::build_execute("", 0);
}

// What it would commit isn't held, so that it is looked at for the last time.
escort::client_step escort::fail_sync(std::string_view message) {
    owe_follower_nothing();
    out_ = failing_batch(leave_reason::no_follower);
    out_ += message;
    owe({due::kind::sync});
    return replace(message.size(), "CPBES", true);
}

escort::client_step escort::fail_batch(std::size_t bytes, leave_reason why) {
    out_ = failing_batch(why);
    return replace(bytes, "CPBE", true);
}

}  // namespace crossfade::proxy::frontend
