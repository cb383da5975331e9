#include "proxy/console/console_session.hpp"

#include <algorithm>
#include <utility>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "proxy/console/views.hpp"

namespace crossfade::proxy::console {
namespace {

namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
using pgwire::framed;

constexpr std::size_t header_size = 5;
constexpr std::string_view see_help = "SHOW HELP lists what the console knows.";

template <class... Ts>
struct overloaded : Ts... {
    using Ts::operator()...;
};
template <class... Ts>
overloaded(Ts...) -> overloaded<Ts...>;  // clang 14 doesn't deduce an aggregate's

// Empty for what gives no rows.
std::vector<column> columns_for(const command& what) {
    if (const auto* show = std::get_if<commands::show>(&what)) {
        const auto columns = columns_of(show->what);
        return {columns.begin(), columns.end()};
    }
    if (const auto* parameter = std::get_if<commands::show_parameter>(&what)) return {{parameter->name, type::text}};
    if (const auto* select = std::get_if<commands::select>(&what)) return columns_of(*select);
    return {};
}

std::string tag_of(const command& what) {
    return std::visit(overloaded{[](const commands::accepted& of) { return std::string{of.tag}; },
                                 [](const commands::forget& of) { return std::string{of.tag}; },
                                 [](const commands::select&) { return std::string{"SELECT 1"}; },
                                 [](const commands::reload&) { return std::string{"RELOAD"}; },
                                 [](const commands::pause&) { return std::string{"PAUSE"}; },
                                 [](const commands::resume&) { return std::string{"RESUME"}; },
                                 [](const commands::kill&) { return std::string{"KILL"}; },
                                 [](const commands::shutdown&) { return std::string{"SHUTDOWN"}; },
                                 [](const auto&) { return std::string{"SHOW"}; }},
                      what);
}

pgwire::diagnostics diagnosed(std::string_view severity, std::string_view sqlstate, std::string_view message) {
    return {{{'S', std::string{severity}},
             {'V', std::string{severity}},
             {'C', std::string{sqlstate}},
             {'M', std::string{message}}}};
}

}  // namespace

console_session::console_session(party who, role as, std::size_t max_rows,
                                 const std::optional<pgwire::backend_key_data>& key)
    : who_(std::move(who)), as_(as), max_rows_(max_rows) {
    if (key) who_.pid = key->pid;
    for (const auto& [name, said] : reported_parameters(who_))
        output_.append(pgwire::build_parameter_status(name, said));
    if (key) output_.append(pgwire::build_backend_key_data(*key));
    ready();
}

console_session::step console_session::next() const {
    if (!output_.empty()) return step::write;
    if (finished_) return step::close;
    if (waiting_) return step::wait;
    return request_ ? step::ask : step::read;
}

void console_session::sent(std::size_t bytes) {
    output_.erase(0, bytes);
    advance();
}

request console_session::take_request() {
    waiting_ = true;
    auto taken = std::move(*request_);
    request_.reset();
    return taken;
}

void console_session::take_answer(answer what) {
    waiting_ = false;
    if (auto* refused = std::get_if<failure>(&what)) {
        fail({refused->sqlstate, std::move(refused->message), std::move(refused->detail), std::move(refused->hint)});
    } else if (auto* told = std::get_if<done>(&what)) {
        current_->notices = std::move(told->notices);
        answer_here({});
    } else if (const auto* show = std::get_if<commands::show>(&*current_->what)) {
        answer_here(rows_of(show->what, std::get<facts>(what)));
    } else {
        fail({"XX000", "the proxy gave facts where something was to be done"});
    }
    advance();
}

void console_session::feed(std::string_view bytes) {
    if (finished_) return;
    if (input_.size() + bytes.size() > most_input)
        return end_with({pgwire::sqlstate::program_limit_exceeded, "too much was sent ahead"});
    input_.append(bytes);
    advance();
}

void console_session::advance() {
    while (!finished_ && !waiting_ && !request_ && output_.size() < output_mark) {
        if (current_) {
            current_->answered ? go_on() : begin();
        } else if (!queued_.empty()) {
            begin_next();
        } else if (!take_message()) {
            break;
        }
    }
    input_.erase(0, std::exchange(consumed_, 0));
}

bool console_session::take_message() {
    const auto ahead = std::string_view{input_}.substr(consumed_);
    if (ahead.size() < header_size) return false;
    const auto length = pgwire::byte_reader{ahead.substr(1)}.u32();
    if (length < 4 || length - 4 > longest_message) {
        end_with({pgwire::sqlstate::protocol_violation,
                  length < 4 ? "invalid message length" : "the console takes messages of up to 64 KiB"});
        return false;
    }
    if (ahead.size() < std::size_t{length} + 1) return false;
    consumed_ += std::size_t{length} + 1;
    on_message(ahead[0], ahead.substr(header_size, length - 4));
    return true;
}

void console_session::on_message(char type, std::string_view body) {
    if (type == frontend::terminate) {
        finished_ = true;
        return;
    }
    // As PostgreSQL does it, a Query is skipped too.
    if (skipping_ && type != frontend::sync) return;
    switch (type) {
        case frontend::query:
            return on_query(body);
        case frontend::parse:
            return on_parse(body);
        case frontend::bind:
            return on_bind(body);
        case frontend::describe:
            return on_describe(body);
        case frontend::execute:
            return on_execute(body);
        case frontend::close:
            return on_close(body);
        case frontend::sync:
            return on_sync();
        case frontend::flush:  // what is said is sent anyway
        case frontend::copy_data:
        case frontend::copy_done:
        case frontend::copy_fail:  // left over from a COPY that failed, PostgreSQL would think
            return;
        case frontend::function_call:
            simple_ = true;
            return fail({pgwire::sqlstate::feature_not_supported, "the console has no functions"});
        default:
            return end_with({pgwire::sqlstate::protocol_violation, "invalid frontend message type"});
    }
}

void console_session::on_query(std::string_view body) {
    simple_ = true;
    statements_.erase("");
    portals_.erase("");
    pgwire::byte_reader reader{body};
    const auto sql = reader.cstring();
    if (!reader.finished()) return malformed();
    auto parsed = parse(sql);
    if (!parsed) return refuse(parsed.error(), sql);
    queued_.assign(std::make_move_iterator(parsed->begin()), std::make_move_iterator(parsed->end()));
    if (queued_.empty()) {
        output_.append(framed(backend::empty_query_response, {}));
        ready();
    }
}

void console_session::on_parse(std::string_view body) {
    simple_ = false;
    pgwire::byte_reader reader{body};
    const auto name = reader.cstring();
    const auto sql = reader.cstring();
    const auto types = reader.u16();
    reader.bytes(std::size_t{types} * 4);
    if (!reader.finished()) return malformed();
    if (types > 0) return fail({pgwire::sqlstate::feature_not_supported, "the console takes no parameters"});

    auto parsed = parse(sql);
    if (!parsed) return refuse(parsed.error(), sql);
    if (parsed->size() > 1) return fail({"42601", "cannot insert multiple commands into a prepared statement"});
    if (!name.empty() && statements_.contains(name))
        return fail({"42P05", "prepared statement \"" + clipped(name) + "\" already exists"});
    if (statements_.size() >= most_statements && !statements_.contains(name))
        return fail({pgwire::sqlstate::program_limit_exceeded, "too many prepared statements"});
    auto& kept = statements_[std::string{name}];
    kept.reset();
    if (!parsed->empty()) kept = std::move(parsed->front());
    output_.append(framed(backend::parse_complete, {}));
}

void console_session::on_bind(std::string_view body) {
    simple_ = false;
    pgwire::byte_reader reader{body};
    const auto name = reader.cstring();
    const auto statement = reader.cstring();
    reader.bytes(std::size_t{reader.u16()} * 2);  // formats of parameters
    const auto parameters = reader.u16();
    for (auto left = parameters; left > 0 && !reader.failed(); --left)
        if (const auto size = reader.u32(); size != 0xFFFFFFFF) reader.bytes(size);
    auto bound = std::make_shared<run>();
    for (auto left = reader.u16(); left > 0 && !reader.failed(); --left)
        bound->formats.push_back(static_cast<format>(reader.u16()));
    if (!reader.finished()) return malformed();

    const auto* prepared = prepared_as(statement);
    if (prepared == nullptr) return;
    if (parameters > 0)
        return fail(
            {pgwire::sqlstate::protocol_violation, "bind message supplies parameters, and the console has none"});
    bound->what = *prepared;
    const auto columns = bound->what ? columns_for(*bound->what).size() : 0;
    if (bound->formats.size() > 1 && bound->formats.size() != columns)
        return fail({pgwire::sqlstate::protocol_violation, "bind message has as many result formats as no row has"});
    for (const auto each : bound->formats)
        if (each != format::text && each != format::binary) return fail({"22023", "unsupported format code"});
    if (!name.empty() && portals_.contains(name))
        return fail({"42P03", "portal \"" + clipped(name) + "\" already exists"});
    if (portals_.size() >= most_portals && !portals_.contains(name))
        return fail({pgwire::sqlstate::program_limit_exceeded, "too many portals"});
    portals_[std::string{name}] = std::move(bound);
    output_.append(framed(backend::bind_complete, {}));
}

void console_session::on_describe(std::string_view body) {
    simple_ = false;
    pgwire::byte_reader reader{body};
    const auto what = reader.u8();
    const auto name = reader.cstring();
    if (!reader.finished() || (what != 'S' && what != 'P')) return malformed();
    if (what == 'S') {
        const auto* prepared = prepared_as(name);
        if (prepared == nullptr) return;
        output_.append(framed(backend::parameter_description, std::string_view{"\0\0", 2}));
        return describe(*prepared, {});
    }
    if (const auto bound = bound_as(name)) describe(bound->what, bound->formats);
}

void console_session::on_execute(std::string_view body) {
    simple_ = false;
    pgwire::byte_reader reader{body};
    const auto name = reader.cstring();
    const auto rows = reader.u32();
    if (!reader.finished()) return malformed();
    auto bound = bound_as(name);
    if (!bound) return;
    if (!bound->what) {
        output_.append(framed(backend::empty_query_response, {}));
        return;
    }
    current_ = std::move(bound);
    current_portal_ = name;
    rows_wanted_ = rows;
    rows_given_ = 0;
}

void console_session::on_close(std::string_view body) {
    simple_ = false;
    pgwire::byte_reader reader{body};
    const auto what = reader.u8();
    const auto name = reader.cstring();
    if (!reader.finished() || (what != 'S' && what != 'P')) return malformed();
    // What isn't there is closed already.
    if (what == 'S') {
        if (const auto found = statements_.find(name); found != statements_.end()) statements_.erase(found);
    } else if (const auto found = portals_.find(name); found != portals_.end()) {
        portals_.erase(found);
    }
    output_.append(framed(backend::close_complete, {}));
}

void console_session::on_sync() {
    skipping_ = false;
    if (!in_transaction_) portals_.clear();
    ready();
}

const std::optional<command>* console_session::prepared_as(std::string_view name) {
    if (const auto found = statements_.find(name); found != statements_.end()) return &found->second;
    fail({"26000", "prepared statement \"" + clipped(name) + "\" does not exist"});
    return nullptr;
}

std::shared_ptr<console_session::run> console_session::bound_as(std::string_view name) {
    if (const auto found = portals_.find(name); found != portals_.end()) return found->second;
    fail({"34000", "portal \"" + clipped(name) + "\" does not exist"});
    return nullptr;
}

void console_session::begin_next() {
    current_ = std::make_shared<run>();
    current_->what = std::move(queued_.front());
    current_->described = false;
    queued_.pop_front();
    rows_wanted_ = 0;
    rows_given_ = 0;
}

void console_session::begin() {
    using accepted = commands::accepted;
    const auto& what = *current_->what;
    if (as_ != role::admin && !changes_nothing(what))
        return fail({"42501", "permission denied: only users in proxy.console.admins may " + tag_of(what)});
    const auto ask = [this](auto asked) { request_ = request{std::move(asked), who_.user}; };
    std::visit(overloaded{
                   [&](const commands::show& of) {
                       if (of.what == subject::help) return answer_here(help_rows());
                       if (of.what == subject::version) return answer_here({{"Crossfade " + who_.version}});
                       ask(ask_facts{of.what});
                   },
                   [&](const commands::show_parameter& of) {
                       auto said = parameter_value(of.name, who_);
                       if (!said)
                           return fail({"42601",
                                        "the console has no \"" + clipped(of.name) + "\" to show",
                                        {},
                                        std::string{see_help}});
                       answer_here({{std::move(*said)}});
                   },
                   [&](const commands::select& of) { answer_here({answer_to(of, who_)}); },
                   [&](const accepted& of) {
                       if (of.transaction != accepted::effect::none)
                           in_transaction_ = of.transaction == accepted::effect::begins;
                       if (!in_transaction_) portals_.clear();
                       answer_here({});
                   },
                   [&](const commands::forget& of) {
                       if (!of.statement)
                           statements_.clear();
                       else
                           statements_.erase(*of.statement);
                       answer_here({});
                   },
                   ask,
               },
               what);
}

void console_session::answer_here(std::vector<row> rows) {
    current_->answered = true;
    if (rows.size() > max_rows_) {
        current_->left_out = rows.size() - max_rows_;
        rows.resize(max_rows_);
    }
    current_->rows = std::move(rows);
}

void console_session::go_on() {
    auto& now = *current_;
    if (!now.described) {
        now.described = true;
        // Only for what has rows: a command has no NoData in the simple protocol.
        if (!columns_for(*now.what).empty()) describe(now.what, now.formats);
    }
    while (now.next_row < now.rows.size() && (rows_wanted_ == 0 || rows_given_ < rows_wanted_)) {
        if (output_.size() >= output_mark) return;
        auto& cells = now.rows[now.next_row++];
        put_data_row(output_, cells, now.formats);
        row{}.swap(cells);
        ++rows_given_;
    }
    if (now.next_row < now.rows.size()) {
        output_.append(framed(backend::portal_suspended, {}));
        current_.reset();
        return;
    }
    finish();
}

void console_session::finish() {
    auto& now = *current_;
    for (const auto& each : std::exchange(now.notices, {})) notice(each);
    if (const auto left_out = std::exchange(now.left_out, 0))
        notice(std::to_string(left_out) + " more rows are left out: proxy.console.max_rows is " +
               std::to_string(max_rows_));
    std::string tag;
    pgwire::put_cstring(tag, tag_of(*now.what));
    output_.append(framed(backend::command_complete, tag));
    current_.reset();
    if (simple_ && queued_.empty()) ready();
}

void console_session::fail(const complaint& why) {
    auto what = diagnosed("ERROR", why.sqlstate, why.message);
    if (!why.detail.empty()) what.fields.emplace_back('D', why.detail);
    if (!why.hint.empty()) what.fields.emplace_back('H', why.hint);
    if (why.position > 0) what.fields.emplace_back('P', std::to_string(why.position));
    output_.append(pgwire::build_error_response(what));
    if (current_) {
        if (!simple_) portals_.erase(current_portal_);
        current_.reset();
    }
    queued_.clear();
    if (simple_)
        ready();
    else
        skipping_ = true;
}

void console_session::end_with(const complaint& why) {
    output_.append(pgwire::build_fatal(why.sqlstate, why.message));
    finished_ = true;
}

void console_session::malformed() {
    fail({pgwire::sqlstate::protocol_violation, "invalid message format"});
}

void console_session::refuse(const syntax_fault& why, std::string_view sql) {
    // The protocol counts characters.
    const auto before = sql.substr(0, why.position - 1);
    const auto characters = std::count_if(before.begin(), before.end(), [](char c) { return (c & '\xc0') != '\x80'; });
    fail({"42601", why.message, {}, std::string{see_help}, static_cast<std::size_t>(characters) + 1});
}

void console_session::ready() {
    output_.append(pgwire::build_ready_for_query(in_transaction_ ? pgwire::transaction_status::in_transaction
                                                                 : pgwire::transaction_status::idle));
}

void console_session::notice(const std::string& message) {
    output_.append(pgwire::build_notice_response(diagnosed("NOTICE", "00000", message)));
}

void console_session::describe(const std::optional<command>& what, const std::vector<format>& formats) {
    const auto columns = what ? columns_for(*what) : std::vector<column>{};
    if (columns.empty())
        output_.append(framed(backend::no_data, {}));
    else
        put_row_description(output_, columns, formats);
}

}  // namespace crossfade::proxy::console
