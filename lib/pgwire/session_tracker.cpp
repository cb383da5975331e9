#include "lib/pgwire/session_tracker.hpp"

#include "lib/pgwire/message_types.hpp"

namespace crossfade::pgwire {

using kind = reply_queue::kind;

void session_tracker::on_frontend(char type) {
    if (copy_ == copy_mode::in) return on_copy_in_message(type);
    if (skipping_ && type != frontend::sync) return;

    switch (type) {
        case frontend::parse:
        case frontend::bind:
        case frontend::describe:
        case frontend::execute:
        case frontend::close:
            batch_open_ = true;
            return owed_.push(kind::extended);
        case frontend::sync:
            skipping_ = false;
            batch_open_ = false;
            return owed_.push(kind::sync);
        case frontend::query:
            batch_open_ = false;  // its end commits what the batch before it began
            return owed_.push(kind::query);
        case frontend::function_call:
            batch_open_ = false;
            return owed_.push(kind::function_call);
        case frontend::copy_done:
        case frontend::copy_fail:
            // Matters only behind something that may turn out to be a COPY.
            if (!owed_.empty() && copy_ != copy_mode::both) owed_.push(kind::copy_end);
            return;
        default:
            return;  // Flush, CopyData, Terminate, passwords: nothing is owed for them
    }
}

void session_tracker::on_copy_in_message(char type) {
    switch (type) {
        case frontend::copy_data:
        case frontend::flush:
        case frontend::sync:
        case frontend::terminate:
            return;
        default:
            // CopyDone and CopyFail end the COPY; anything else fails it and is consumed by that.
            copy_ = copy_mode::none;
    }
}

void session_tracker::on_backend(char type, std::string_view body) {
    switch (type) {
        case backend::ready_for_query:
            return on_ready(body);
        case backend::error_response:
            return on_error();
        case backend::parse_complete:
        case backend::bind_complete:
        case backend::close_complete:
        case backend::no_data:
        case backend::row_description:
        case backend::empty_query_response:
        case backend::portal_suspended:
        case backend::command_complete:
            return on_extended_reply();
        case backend::copy_in_response:
            return on_copy_in();
        case backend::copy_out_response:
            copy_ = copy_mode::out;
            return;
        case backend::copy_both_response:
            copy_ = copy_mode::both;
            return;
        default:
            return;
    }
}

bool session_tracker::ready_is_due() const {
    return !owed_.empty() && (owed_.runs() > 1 || (owed_.front() != kind::extended && owed_.front() != kind::copy_end));
}

void session_tracker::on_extended_reply() {
    if (copy_ == copy_mode::out) copy_ = copy_mode::none;
    if (!owed_.empty() && owed_.front() == kind::extended) {
        owed_.pop();
        drop_stray_copy_ends();
    }
}

void session_tracker::on_ready(std::string_view body) {
    copy_ = copy_mode::none;
    started_ = true;
    skipping_ = false;
    const auto status = parse_ready_for_query(body);
    if (status) status_ = *status;

    drop_stray_copy_ends();
    if (owed_.empty() || owed_.front() == kind::extended) {
        // Not awaited: see the class's comment.
        if (owed_.empty()) batch_open_ = false;
        return;
    }
    if (owed_.front() != kind::startup && status_ == transaction_status::idle) ++transactions_;
    owed_.pop();
    drop_stray_copy_ends();
}

void session_tracker::on_error() {
    copy_ = copy_mode::none;
    if (owed_.empty() || owed_.front() != kind::extended) {
        // Unasked for (the server is about to close), or ReadyForQuery follows by itself. A batch whose messages are
        // all answered can still fail at its Sync, which is then the front.
        return;
    }
    while (!owed_.empty() && owed_.front() != kind::sync) owed_.pop_run();
    skipping_ = owed_.empty();
}

// The front message has begun a COPY FROM STDIN. What was sent behind it is read by the COPY.
void session_tracker::on_copy_in() {
    copy_ = copy_mode::in;
    if (owed_.empty()) return;
    if (owed_.front_count() > 1) {
        copy_ = copy_mode::none;  // the next message of the same run fails it
        if (owed_.front() != kind::extended) {
            // It is consumed and never answered. Of extended ones the rest is skipped when the error comes.
            owed_.pop();
        }
        return;
    }
    while (owed_.has_second()) {
        if (owed_.second() == kind::sync) {
            owed_.drop_second();
            // What was to close the batch is swallowed, unless another Sync has been sent since.
            batch_open_ = owed_.front() == kind::extended && !owed_.contains(kind::sync);
            continue;
        }
        copy_ = copy_mode::none;
        if (owed_.second() == kind::copy_end || owed_.front() != kind::extended) owed_.pop_second();
        return;
    }
}

void session_tracker::drop_stray_copy_ends() {
    while (!owed_.empty() && owed_.front() == kind::copy_end) owed_.pop_run();
}

}  // namespace crossfade::pgwire
