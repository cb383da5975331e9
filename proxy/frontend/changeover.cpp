#include "proxy/frontend/changeover.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "proxy/frontend/login.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace backend = pgwire::backend;
using portrait::heard_facts;

constexpr std::string_view invalid_parameter_value = "22023";
constexpr std::string_view writability = "default_transaction_read_only";
// Before the first ReadyForQuery: parameters, notices, a key.
constexpr int most_messages = 1000;
constexpr std::uint32_t most_of_one = 65535;
// Of a database whose functions are being changed again and again nobody knows what they set.
constexpr int most_surveys = 3;

std::string name_of(settings::side side) {
    return "the " + std::string{settings::to_string(side)} + " database";
}

template <class Range, class Text>
std::string listed(const Range& all, Text text) {
    constexpr std::size_t most = 5;
    std::string list;
    std::size_t count = 0;
    for (const auto& each : all) {
        if (++count > most) return list + ", ...";
        list += (list.empty() ? "" : ", ") + std::string{text(each)};
    }
    return list;
}

unable not_let_in(settings::side side, const std::string& why, std::string_view sqlstate) {
    const bool is_away =
        why == to_string(message_reader::fault::gone) || sqlstate == pgwire::sqlstate::cannot_connect_now;
    return {is_away ? move_result::unreachable : move_result::login,
            "no log-in to " + name_of(side) + ": " + why + (sqlstate.empty() ? "" : " (" + std::string{sqlstate} + ')'),
            is_away || sqlstate == pgwire::sqlstate::too_many_connections};
}

// Calls `with(type, body)` for each message.
template <class With>
void for_each_message(std::string_view messages, With with) {
    while (!messages.empty()) {
        const auto whole = messages.substr(0, size_of(messages));
        with(whole.front(), body_of(whole));
        messages.remove_prefix(whole.size());
    }
}

void note(std::string_view parameter_status, std::map<std::string, std::string>& in) {
    if (const auto told = pgwire::parse_parameter_status(parameter_status))
        in[std::string{told->name}] = std::string{told->value};
}

}  // namespace

void changeover::keep_unnamed(std::string_view parse) {
    heard_.facts.statement = heard_facts::unnamed::kept;
    heard_.facts.parse = parse;
    kept_back_ = true;
}

void changeover::forget_unnamed() {
    heard_.facts.statement = heard_facts::unnamed::none;
    heard_.facts.parse.clear();
    forgot_unnamed_ = true;
}

message_reader& changeover::reader_of(transport& old) {
    if (!reader_of_old_) reader_of_old_ = std::make_unique<message_reader>(old);
    return *reader_of_old_;
}

unable changeover::refused_to_be_asked(settings::side side, const interview_failure& failure) {
    if (failure.what == interview_failure::kind::broken) {
        lost_old_ = true;
        return {move_result::unreachable, name_of(side) + " closed the connection", false};
    }
    // Somebody may have cancelled what wasn't his.
    return {move_result::obstacle, name_of(side) + " doesn't say what the session holds: " + failure.sqlstate, true};
}

asio::awaitable<hindrance> changeover::leave(transport& old, settings::side of, const std::string& database,
                                             changeover_queue& surveys) {
    const auto& heard = heard_.facts;
    asked_.about_unnamed = heard.statement != heard_facts::unnamed::none && !kept_back_;
    bool functions_known = false;
    // A survey may be older than functions that the session has called.
    for (int tries = 0; tries < most_surveys; ++tries) {
        const auto functions = co_await surveys.survey_of(of, database, old, reader_of(old), from_old_);
        if (!functions) co_return refused_to_be_asked(of, functions.error());
        asked_.own_settings = *settings_;
        asked_.own_settings.insert(ask_also_.begin(), ask_also_.end());
        asked_.own_settings.insert((*functions)->own_settings.begin(), (*functions)->own_settings.end());
        auto with_functions = asked_;
        with_functions.about_functions = true;
        auto found = co_await ask(old, *reader_of_old_, std::move(with_functions), from_old_);
        if (!found) co_return refused_to_be_asked(of, found.error());
        was_ = std::move(*found);
        const bool newest = was_.functions == (*functions)->edition;
        functions_known = newest && (*functions)->complete;
        if (newest) break;
        surveys.forget(of, database, *functions);
    }
    if (only_reads_ == of) take_writability(was_, at_home_.get());
    // What modern's own database or role says of them is nobody's anywhere else. Legacy's is what the application
    // knows.
    if (of == settings::side::modern)
        std::erase_if(was_.own_settings, [&](const auto& each) { return was_.given.contains(each.first); });
    for (const auto& each : was_.own_settings) asked_.own_settings.insert(each.first);
    was_.heard = heard;
    was_.heard.functions_known = functions_known;
    was_.unnamed_there = was_.unnamed_there || kept_back_;
    const auto obstacles = portrait::obstacles(was_);
    if (obstacles.empty()) co_return std::nullopt;
    co_return unable{move_result::obstacle, "it holds what can't be taken along (" + listed(obstacles, [](auto what) {
                                                return portrait::to_string(what);
                                            }) + ')'};
}

transport& changeover::connected(transport to) {
    from_next_.reset();
    next_.emplace(std::move(to));
    return *next_;
}

asio::awaitable<hindrance> changeover::enter(settings::side of, std::string opening, auth::server_login login) {
    to_ = of;
    from_next_ = std::make_unique<message_reader>(*next_);
    said_by_next_.clear();
    parameters_.clear();
    key_.reset();
    const auto failed = co_await next_->write(opening);
    if (failed) co_return unable{move_result::unreachable, name_of(of) + " closed the connection", true};
    auto let_in = co_await log_in_to_server(*next_, *from_next_, std::move(login));
    if (!let_in) {
        const auto& refusal = let_in.error();
        co_return not_let_in(of, refusal.reason,
                             refusal.message.empty() ? "" : pgwire::sqlstate_of(body_of(refusal.message)));
    }
    auto welcomed = co_await hear_welcome();
    co_return welcomed;
}

asio::awaitable<hindrance> changeover::hear_welcome() {
    for (int count = 0; count < most_messages; ++count) {
        const auto came = co_await from_next_->next(most_of_one);
        if (!came) co_return not_let_in(to_, std::string{to_string(came.error())}, {});
        if (came->type == backend::parameter_status) note(came->body, parameters_);
        if (came->type == backend::backend_key_data) key_ = pgwire::parse_backend_key_data(came->body);
        if (came->type == backend::error_response)
            co_return not_let_in(to_, "the database refused it", pgwire::sqlstate_of(came->body));
        if (came->type == backend::ready_for_query) co_return std::nullopt;
    }
    co_return not_let_in(to_, "too many messages", {});
}

// Nothing is half done where it is refused.
asio::awaitable<boost::system::result<std::vector<std::string>, interview_failure>> changeover::make_alike(
    const portrait::session_portrait& fresh, purpose why) {
    auto made = co_await become(*next_, *from_next_, was_, fresh, said_by_next_);
    const bool unknown_there = !made && made.error().sqlstate == invalid_parameter_value;
    if (!unknown_there || why != purpose::to_stay) co_return made;
    const auto left = portrait::given_formats(was_, fresh);
    if (left.empty()) co_return made;
    for (const auto& name : left) was_.settings.erase(name);
    spdlog::debug("{} lacks formats that a session had by its server alone: {}", name_of(to_),
                  listed(left, [](const auto& name) { return name; }));
    made = co_await become(*next_, *from_next_, was_, fresh, said_by_next_);
    co_return made;
}

asio::awaitable<hindrance> changeover::settle(transport& old, purpose why) {
    const auto failed = [this](const interview_failure& how) {
        const bool broken = how.what == interview_failure::kind::broken;
        return unable{broken ? move_result::unreachable : move_result::different,
                      broken ? name_of(to_) + " closed the connection"
                             : name_of(to_) + " doesn't take what the session holds: " + how.sqlstate};
    };
    auto asked = asked_;
    asked.about_unnamed = false;
    const auto fresh = co_await ask(*next_, *from_next_, asked, said_by_next_);
    if (!fresh) co_return failed(fresh.error());
    const auto made = co_await make_alike(*fresh, why);
    if (!made) co_return failed(made.error());
    asked.about_unnamed = was_.unnamed_there;
    const auto is = co_await ask(*next_, *from_next_, asked, said_by_next_);
    if (!is) co_return failed(is.error());
    if (const auto differ = portrait::differences(was_, *is); !differ.empty())
        co_return unable{move_result::different, "it came out different on " + name_of(to_) + " (" +
                                                     listed(differ, [](const auto& what) { return what; }) + ')'};
    // The new database listens by now, so that what the old one says after this is of no transaction before it.
    if (was_.channels.empty()) co_return std::nullopt;
    const bool whole = co_await catch_up(old, *reader_of_old_, from_old_);
    if (whole) co_return std::nullopt;
    lost_old_ = true;
    co_return unable{move_result::unreachable, "the former database closed the connection"};
}

asio::awaitable<bool> changeover::come_back(parked_connection to) {
    to_ = to.side;
    from_next_.reset();
    next_.emplace(std::move(to.connection));
    from_next_ = std::make_unique<message_reader>(*next_);
    said_by_next_.clear();
    parameters_ = to.held.reported;
    key_ = to.key;
    // An end, or its last words, or a setting of its configuration that isn't what it was.
    if (has_something_to_read(next_->descriptor())) co_return false;
    const bool same_unnamed = portrait::same_unnamed(was_, to.held);
    to.held.unnamed_there = was_.unnamed_there;
    const auto differ = portrait::differences(was_, to.held);
    if (differ.empty() && same_unnamed) co_return true;
    if (differ.empty()) {
        const auto made = co_await repeat(*next_, *from_next_, portrait::recreate_unnamed(was_), 1, said_by_next_);
        co_return made&&* made == pgwire::transaction_status::idle;
    }
    const auto made = co_await become(*next_, *from_next_, was_, to.held, said_by_next_);
    if (!made) co_return false;
    // Each of its settings was set, or that had failed. Anything else may have come out another way.
    if (std::ranges::all_of(differ, [](const auto& what) { return what.starts_with(portrait::setting_prefix); })) {
        for (const auto& what : differ) {
            const auto name = what.substr(portrait::setting_prefix.size());
            if (const auto known = was_.reported.find(name); known != was_.reported.end())
                parameters_[name] = known->second;
        }
        co_return std::ranges::none_of(to.held.own_settings, [&](const auto& each) {
            return portrait::has_more_of_its_own(to.held, was_, each.first);
        });
    }
    auto asked = asked_;
    asked.about_unnamed = was_.unnamed_there;
    auto is = co_await ask(*next_, *from_next_, asked, said_by_next_);
    if (!is) co_return false;
    if (only_reads_ == to_) take_writability(*is, &was_);
    parameters_ = is->reported;
    co_return portrait::differences(was_, *is).empty();
}

void changeover::only_reads_on(settings::side of, const portrait::session_portrait* at_home) {
    only_reads_ = of;
    if (at_home != nullptr) at_home_ = std::make_unique<const portrait::session_portrait>(*at_home);
}

// A session that has said something else of it meanwhile keeps its word.
void changeover::take_writability(portrait::session_portrait& to, const portrait::session_portrait* from) {
    const auto take = [](auto& into, const auto* out_of) {
        const auto found = into.find(std::string{writability});
        if (found == into.end() || found->second != "on") return;
        const auto wanted = out_of == nullptr ? into.end() : out_of->find(std::string{writability});
        if (out_of == nullptr || wanted == out_of->end())
            into.erase(found);
        else
            found->second = wanted->second;
    };
    take(to.settings, from == nullptr ? nullptr : &from->settings);
    take(to.reported, from == nullptr ? nullptr : &from->reported);
}

asio::awaitable<hindrance> changeover::only_read() {
    for_client unheard;  // of a setting that isn't its
    const auto made = co_await frontend::only_read(*next_, *from_next_, unheard);
    if (made && *made == pgwire::transaction_status::idle) co_return std::nullopt;
    co_return unable{move_result::different, name_of(to_) + " doesn't become one that only reads"};
}

bool changeover::is_serializable() const {
    const auto found = was_.settings.find("default_transaction_isolation");
    return found != was_.settings.end() && found->second == "serializable";
}

bool changeover::may_be_parked() const {
    return was_.channels.empty() && portrait::bytes_of(was_) <= parked_connection::most_bytes;
}

std::optional<parked_connection> changeover::park(transport& old, settings::side of,
                                                  std::optional<pgwire::backend_key_data> key) const {
    // Its notifications would wait there, or come late.
    if (!may_be_parked() || !old.is_open()) return std::nullopt;
    parked_connection kept{std::move(old), of, was_, std::move(key), portrait::bytes_of(was_)};
    // What its client has done away with is there still, and what it was kept back from isn't.
    if (forgot_unnamed_ || kept_back_) kept.distrust_unnamed();
    return kept;
}

asio::awaitable<hindrance> changeover::undo(transport& old, const repeatable_start& of) {
    if (of.has_read()) {
        const auto looked = co_await has_only_looked(old, reader_of(old), from_old_);
        lost_old_ = !looked && looked.error().what == interview_failure::kind::broken;
        if (!looked || !*looked)
            co_return unable{move_result::obstacle, "its transaction has read, and isn't READ COMMITTED"};
    }
    const auto undone = co_await roll_back(old, reader_of(old), from_old_);
    if (undone && *undone == pgwire::transaction_status::idle) co_return std::nullopt;
    const bool refused = !undone && undone.error().what == interview_failure::kind::refused;
    lost_old_ = !refused;
    co_return unable{move_result::obstacle, "its transaction could not be begun anew" +
                                                (refused ? ": " + undone.error().sqlstate : std::string{})};
}

asio::awaitable<hindrance> changeover::begin_there(const repeatable_start& with) {
    const auto begun = co_await repeat(*next_, *from_next_, with.messages(), with.readies(), said_by_next_);
    if (begun && *begun == pgwire::transaction_status::in_transaction) co_return std::nullopt;
    const bool refused = !begun && begun.error().what == interview_failure::kind::refused;
    co_return unable{move_result::different, name_of(to_) + " doesn't begin its transaction as it was" +
                                                 (refused ? ": " + begun.error().sqlstate : std::string{})};
}

asio::awaitable<hindrance> changeover::begin_here(transport& old, const repeatable_start& with) {
    const auto begun = co_await repeat(old, reader_of(old), with.messages(), with.readies(), from_old_);
    if (begun && *begun == pgwire::transaction_status::in_transaction) co_return std::nullopt;
    lost_old_ = true;
    co_return unable{move_result::unreachable, "its transaction could not be begun anew"};
}

std::map<std::string, std::string> changeover::reported_anew() const {
    auto known = was_.reported;
    for_each_message(from_old_, [&](char type, std::string_view body) {
        if (type == backend::parameter_status) note(body, known);
    });
    auto reported = parameters_;
    for_each_message(said_by_next_, [&](char type, std::string_view body) {
        if (type == backend::parameter_status) note(body, reported);
    });
    std::erase_if(reported, [&](const auto& one) {
        const auto before = known.find(one.first);
        return before != known.end() && before->second == one.second;
    });
    return reported;
}

std::map<std::string, std::string> changeover::reported_again() const {
    std::map<std::string, std::string> told;
    for_each_message(from_old_, [&](char type, std::string_view body) {
        if (type == backend::parameter_status) note(body, told);
    });
    auto again = reported_anew();
    std::erase_if(again, [&](const auto& one) { return !told.contains(one.first); });
    return again;
}

std::string changeover::notifications() const {
    std::string all;
    for_each_message(said_by_next_, [&](char type, std::string_view body) {
        if (type == backend::notification_response) all += pgwire::framed(type, body);
    });
    return all;
}

}  // namespace crossfade::proxy::frontend
