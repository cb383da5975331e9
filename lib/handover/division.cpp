#include "lib/handover/division.hpp"

#include <optional>

namespace crossfade::handover {
namespace {

// Whoever draws meanwhile waits for it.
constexpr const char* begin =
    "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL crossfade.fencing = on; SET LOCAL lock_timeout = '2s'; ";

struct noted {
    std::int64_t increment = 0;
    std::int64_t anchor = 0;
};

pgclient::result<std::optional<noted>> look_up(pgclient::connection& on, const std::string& stream,
                                               const std::string& sequence) {
    auto got = on.exec(
        "SELECT increment, anchor FROM crossfade.split_sequences WHERE stream = $1::text AND sequence = $2::text",
        {stream, sequence});
    if (!got) return got.error();
    if (got->empty()) return std::optional<noted>{};
    return std::optional{noted{got->integer(0, 0).value_or(1), got->integer(0, 1).value_or(0)}};
}

pgclient::result<void> in_one(pgclient::connection& on, const std::string& sql) {
    auto done = on.exec(begin + sql + "COMMIT");
    if (done) return {};
    static_cast<void>(on.exec("ROLLBACK"));
    return done.error();
}

std::string note_sql(const std::string& stream, const sequence& of, const std::string& anchor,
                     const std::string& from) {
    return "INSERT INTO crossfade.split_sequences (stream, sequence, increment, anchor) SELECT " +
           pgclient::quote_literal(stream) + ", " + pgclient::quote_literal(of.name) + ", " +
           std::to_string(of.increment) + ", " + anchor + from + ';';
}

std::string count_by(const sequence& of, std::int64_t step) {
    return "ALTER SEQUENCE " + of.name + " INCREMENT BY " + std::to_string(step) + ';';
}

}  // namespace

move plan_division(std::int64_t anchor, std::int64_t step, const sequence& joining) {
    std::int64_t stride = 0;
    if (__builtin_mul_overflow(step, std::int64_t{2}, &stride)) return {{}, joining.name + " has too long a step"};
    const bool up = step > 0;
    const auto most = joining.last && (up ? *joining.last > anchor : *joining.last < anchor) ? *joining.last : anchor;
    // Strictly beyond what either has drawn, half a stride off the anchor's row.
    const auto strides = (most - anchor) / stride + 1;
    std::int64_t distance = 0;
    std::int64_t to = 0;
    if (__builtin_mul_overflow(strides, stride, &distance) || __builtin_add_overflow(anchor, distance, &to) ||
        __builtin_add_overflow(to, step, &to) || to > joining.greatest || to < joining.least)
        return {{}, joining.name + " ends before the values that are left for it"};
    return {to, {}};
}

pgclient::result<division> divide(pgclient::connection& first, pgclient::connection& second,
                                  const std::string& first_stream, const std::string& second_stream,
                                  const std::vector<sequence_pair>& all) {
    for (const auto& [drawing, joining] : all) {
        if (drawing.cycles || joining.cycles)
            return division{drawing.name + " cycles, and two sides would draw the same"};
        if ((drawing.increment > 0) != (joining.increment > 0))
            return division{joining.name + " counts the other way than " + drawing.name};
        auto there = look_up(second, second_stream, joining.name);
        if (!there) return there.error();
        if (*there) continue;
        auto here = look_up(first, first_stream, drawing.name);
        if (!here) return here.error();
        if (!*here) {
            std::int64_t stride = 0;
            if (__builtin_mul_overflow(drawing.increment, std::int64_t{2}, &stride))
                return division{drawing.name + " has too long a step"};
            // What it draws next is a stride from there.
            const auto anchor =
                "CASE WHEN is_called THEN last_value ELSE last_value - " + std::to_string(stride) + " END";
            auto done = in_one(
                first, count_by(drawing, stride) + note_sql(first_stream, drawing, anchor, " FROM " + drawing.name));
            if (!done) return done.error();
            here = look_up(first, first_stream, drawing.name);
            if (!here) return here.error();
            if (!*here) return division{drawing.name + " was changed by somebody else"};
        }
        const auto step = (*here)->increment;
        const auto planned = plan_division((*here)->anchor, step, joining);
        if (!planned.objection.empty()) return division{planned.objection};
        const auto to = std::to_string(*planned.to);
        auto done =
            in_one(second, count_by(joining, 2 * step) + "SELECT setval(" + pgclient::quote_literal(joining.name) +
                               "::regclass, " + to + ");" + note_sql(second_stream, joining, to, ""));
        if (!done) return done.error();
    }
    return division{};
}

pgclient::result<void> rejoin(pgclient::connection& on, const std::string& stream,
                              const std::function<bool(const std::string& sequence)>& whole) {
    auto got = on.exec("SELECT sequence, increment FROM crossfade.split_sequences WHERE stream = $1::text", {stream});
    if (!got) return got.error();
    for (int i = 0; i < got->size(); ++i) {
        const std::string name{got->text(i, 0)};
        if (!whole(name)) continue;
        auto done =
            in_one(on, "ALTER SEQUENCE IF EXISTS " + name + " INCREMENT BY " + std::string{got->text(i, 1)} +
                           "; DELETE FROM crossfade.split_sequences WHERE stream = " + pgclient::quote_literal(stream) +
                           " AND sequence = " + pgclient::quote_literal(name) + ';');
        if (!done) return done.error();
    }
    return {};
}

}  // namespace crossfade::handover
