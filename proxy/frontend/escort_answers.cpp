// What the server answers, and what of it the client hears.
#include <algorithm>
#include <utility>

#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/session_status.hpp"
#include "proxy/frontend/escort.hpp"
#include "proxy/frontend/hidden_column.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace backend = pgwire::backend;
using mirror::leave_reason;

constexpr std::size_t hidden_at = header_size + 2 + 4;         // in a DataRow: behind the count and the first length
constexpr std::size_t longest_hidden = std::size_t{64} << 10;  // a row that is longer isn't mirrored
constexpr std::size_t longest_description = std::size_t{1} << 20;
constexpr std::uint32_t null_value = 0xffffffff;

constexpr std::size_t longest_tag = 64;

bool says(std::string_view tag, std::string_view answer) {
    return answer.front() == backend::command_complete && body_of(answer).starts_with(tag);
}

bool says_rollback(std::string_view answer) {
    return says("ROLLBACK", answer);
}

}  // namespace

std::optional<std::string_view> escort::from_server(std::string_view bytes) {
    if (due_.empty() && partial_.empty() && complete_.empty() && rest_ == 0 && phase_ == phase::open && !wrote_)
        return std::nullopt;
    answer_.clear();
    given_ = bytes;
    unchanged_ = 0;
    changed_ = !partial_.empty();
    while (!bytes.empty()) {
        if (rest_ > 0) {
            const auto dropped = std::min(drop_, bytes.size());
            const auto passed = std::min(rest_, bytes.size());
            if (dropped > 0) differ();
            if (passed > dropped) tell(bytes.substr(dropped, passed - dropped));
            drop_ -= dropped;
            rest_ -= passed;
            bytes.remove_prefix(passed);
            continue;
        }
        // As much of the next one as has to be seen at once.
        auto needed = wanted(partial_);
        for (; partial_.size() < needed && !bytes.empty(); needed = wanted(partial_)) {
            const auto some = bytes.substr(0, needed - partial_.size());
            partial_.append(some);
            bytes.remove_prefix(some.size());
        }
        if (partial_.size() < needed) break;
        on_message(partial_, size_of(partial_));
        partial_.clear();
    }
    if (changed_) return answer_;
    if (unchanged_ == given_.size()) return std::nullopt;
    return given_.substr(0, unchanged_);
}

void escort::nothing_is_due(bool idle) {
    if (!partial_.empty() || rest_ > 0) return;
    due_.clear();
    ++round_;
    if (!idle) return;
    portals_.clear();
    forget_unseen();
}

// The next of what was given goes on as it is.
void escort::tell(std::string_view bytes) {
    if (changed_) {
        answer_.append(bytes);
    } else {
        unchanged_ += bytes.size();
    }
}

void escort::differ() {
    if (!std::exchange(changed_, true)) answer_.assign(given_.substr(0, unchanged_));
}

std::size_t escort::wanted(std::string_view beginning) const {
    if (beginning.size() < header_size) return header_size;
    const auto size = size_of(beginning);
    const bool strips = !due_.empty() && due_.front().how.strip;
    switch (beginning.front()) {
        case backend::ready_for_query:
            return std::min(size, header_size + 1);
        case backend::error_response:
            return !due_.empty() && due_.front().moved.by > 0 && size <= longest_hidden ? size : header_size;
        case backend::row_description:
            return strips && size <= longest_description ? size : header_size;
        case backend::data_row: {
            if (!strips || size < hidden_at) return header_size;
            if (beginning.size() < hidden_at) return hidden_at;
            const auto hidden = pgwire::byte_reader{beginning.substr(hidden_at - 4, 4)}.u32();
            return hidden > longest_hidden ? hidden_at : std::min<std::size_t>(size, hidden_at + hidden);
        }
        case backend::command_complete:
            return std::min(size, header_size + longest_tag);
        default:
            return header_size;
    }
}

void escort::pop(due::kind what) {
    if (!due_.empty() && due_.front().what == what) due_.pop_front();
}

void escort::on_message(std::string_view beginning, std::size_t size) {
    rest_ = size - beginning.size();
    drop_ = 0;
    const due front = due_.empty() ? due{due::kind::sync} : due_.front();
    switch (beginning.front()) {
        case backend::ready_for_query:
            on_ready(beginning.size() > header_size ? beginning[header_size] : 'I');
            break;
        case backend::error_response:
            on_error();
            if (front.moved.by == 0 || rest_ > 0) break;
            differ();
            answer_ += moved_back(body_of(beginning), front.moved.behind, front.moved.by);
            return;
        case backend::parse_complete:
            pop(due::kind::parse);
            if (front.hide) return differ();
            break;
        case backend::bind_complete:
            pop(due::kind::bind);
            if (front.hide) return differ();
            break;
        case backend::close_complete:
            pop(due::kind::close);
            if (front.hide) return differ();
            break;
        case backend::no_data:
            pop(due::kind::describe);
            break;
        case backend::row_description:
            if (front.how.strip && rest_ == 0) {
                differ();
                answer_ += without_first(body_of(beginning), front.what == due::kind::query);
                pop(due::kind::describe);
                return;
            }
            pop(due::kind::describe);
            break;
        case backend::data_row:
            if (front.how.strip) return on_row(beginning, size);
            break;
        case backend::portal_suspended:
            // The rest of its rows may never be fetched.
            if (front.how.strip) other_write();
            pop(due::kind::execute);
            break;
        case backend::command_complete:
        case backend::empty_query_response:
            undone_ = ends_explicitly_ && says_rollback(beginning);
            if (front.how.step.what != savepoint_step::kind::nothing) {
                follow(front.how.step);
            } else if (says("COMMIT", beginning) || says_rollback(beginning)) {
                on_end(says_rollback(beginning));
            }
            pop(due::kind::execute);
            if (front.commits && rest_ == 0) {
                differ();
                complete_ = beginning;
                return;
            }
            if (front.hide) return differ();
            break;
        default:
            break;
    }
    tell(beginning);
}

void escort::on_row(std::string_view beginning, std::size_t size) {
    differ();
    const auto& how = due_.front().how;
    const auto columns = pgwire::byte_reader{beginning.substr(header_size, 2)}.u16();
    const auto hidden = pgwire::byte_reader{beginning.substr(hidden_at - 4, 4)}.u32();
    wrote_ = true;
    has_to_be_mirrored_ = has_to_be_mirrored_ || how.or_fail;
    if (beginning.size() == hidden_at + hidden) {
        capture(beginning.substr(hidden_at), how);
        drop_ = 0;
    } else {
        other_write(leave_reason::too_large);
        drop_ = hidden == null_value ? 0 : hidden;
    }
    if (!how.returning) {
        drop_ = rest_;
        return;
    }
    const auto taken = 4 + (hidden == null_value ? 0 : hidden);
    answer_.push_back(backend::data_row);
    pgwire::put_u32(answer_, static_cast<std::uint32_t>(size - 1 - taken));
    pgwire::put_u16(answer_, static_cast<std::uint16_t>(columns - 1));
}

void escort::capture(std::string_view hidden, const manner& how) {
    if (!covered_) return;
    auto row = mirror::read_row(hidden);
    if (!row) return other_write();
    if (!taken_.rows.empty() && taken_.id != row->transaction) return other_write(leave_reason::transaction);
    taken_bytes_ += hidden.size();
    if (taken_.rows.size() == most_rows || taken_bytes_ > most_bytes) return other_write(leave_reason::too_large);
    const auto tables = books_.tables();
    auto table = tables == nullptr ? nullptr : tables->find(row->table);
    // A partition, or a name, may be another table's since the catalogs were read.
    if (table == nullptr || table->name.name != how.table || table->columns.size() != row->values.size())
        return other_write(leave_reason::table);
    // Who has to have them on modern asks it all the same.
    if (!how.or_fail && tables->rests(*table)) return other_write(leave_reason::refused);
    // Perhaps not when the statement was prepared.
    const bool is_new = how.what == change::insert || how.what == change::put;
    if (table->tied && is_new) return other_write(leave_reason::ties);
    const bool readable = row->faithful || (table->plain && row->utf8);
    const bool found = !(table->zoned_key && row->zoned) && !(table->bytes_key && row->escaped);
    if (!readable || !found || !row->flushes) return other_write(leave_reason::settings);
    taken_.id = row->transaction;
    taken_.rows.push_back({std::move(table), how.what, std::move(row->values), how.sets_ties});
}

// Another transaction may follow at once: AND CHAIN, or BEGIN in the same text.
void escort::on_end(bool undone) {
    if (!undone && !taken_.rows.empty()) other_write(leave_reason::transaction);
    if (undone && covered_) wrote_ = false;
    doubt_what_is_ahead();
    forget_rows();
    savepoints_.clear();
}

void escort::forget_rows() {
    taken_ = {};
    taken_bytes_ = 0;
}

void escort::take_back_what_is_written() {
    if (std::exchange(on_follower_, false)) ahead_ = {.doubted = true, .none = true};
}

void escort::follow(const savepoint_step& done) {
    doubt_what_is_ahead();
    take_back_what_is_written();
    if (done.what == savepoint_step::kind::roll_back) {
        const auto [mirrored, in_time] = std::exchange(forgiven_, {});
        has_to_be_mirrored_ = has_to_be_mirrored_ || mirrored;
        has_to_be_in_time_ = has_to_be_in_time_ || in_time;
    }
    const auto left = savepoints_.follow(done, {taken_.rows.size(), taken_bytes_});
    if (!left || left->rows > taken_.rows.size()) return other_write(leave_reason::transaction);
    if (done.what != savepoint_step::kind::roll_back || !covered_) return;
    taken_.rows.erase(taken_.rows.begin() + static_cast<std::ptrdiff_t>(left->rows), taken_.rows.end());
    taken_bytes_ = left->bytes;
    wrote_ = !taken_.rows.empty();
}

void escort::on_error() {
    failed_ = true;
    doubt_what_is_ahead();
    ahead_.none = true;
    // What wasn't answered may not be there.
    std::erase_if(prepared_, [this](const auto& each) { return each.second.round == round_; });
    if (due_.empty()) return;
    const auto ends = [](const due& each) {
        return each.what == due::kind::query || each.what == due::kind::sync || each.what == due::kind::function_call;
    };
    if (ends(due_.front())) return;
    while (!due_.empty() && due_.front().what != due::kind::sync) due_.pop_front();
    skipping_ = due_.empty();
}

void escort::on_ready(char status) {
    if (!complete_.empty() && !failed_) {
        differ();
        answer_ += complete_;
    }
    complete_.clear();
    while (!due_.empty()) {
        const auto what = due_.front().what;
        due_.pop_front();
        if (what == due::kind::query || what == due::kind::sync || what == due::kind::function_call) break;
    }
    if (phase_ == phase::committing) phase_ = phase::open;
    cleared_ = false;
    skipping_ = false;
    if (status != static_cast<char>(pgwire::transaction_status::idle)) {
        failed_ = false;
        commit_fails_.reset();
        return take_back_what_is_written();
    }
    if (wrote_ && !failed_ && !undone_) {
        if (mirrored_) {
            books_.count_mirrored();
        } else {
            books_.count_streamed(why_);
        }
    }
    ended();
    forget_rows();
    savepoints_.clear();
    ahead_ = {};
    forgiven_ = {};
    failed_ = on_follower_ = mirrored_ = ends_explicitly_ = undone_ = has_to_be_mirrored_ = false;
    commit_fails_.reset();
    // What can't be seen may be of messages that were sent already, and aren't answered.
    if (due_.empty()) forget_unseen();
    wrote_ = !covered_;
}

void escort::forget_unseen() {
    covered_ = true;
    wrote_ = has_to_be_in_time_ = false;
}

bool escort::commits(std::string_view answer) const {
    if (!on_follower_ || failed_) return false;
    return !says_rollback(answer);  // as COMMIT of a transaction that has failed is answered
}

bool escort::wrote_nothing(std::string_view answer) const {
    return (covered_ && !wrote_) || undone_ || (ends_explicitly_ && says_rollback(answer));
}

void escort::ended() {
    if (std::exchange(ddl_, false)) books_.look_again(std::exchange(ddl_of_, {}));
}

void escort::committed(bool well) {
    mirrored_ = well;
    on_follower_ = false;
    forget_rows();
    if (!well) other_write(leave_reason::refused);
}

}  // namespace crossfade::proxy::frontend
