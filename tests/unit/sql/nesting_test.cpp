#include "lib/sql/nesting.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <functional>
#include <random>
#include <string>

#include "lib/sql/nodes.hpp"
#include "lib/sql/parse_tree.hpp"
#include "tests/unit/sql/describe.hpp"

namespace crossfade::sql {
namespace {

// A text that nests `depth` deep in one way: `before` and `after` are repeated around the middle.
struct shape {
    const char* name = "";
    const char* start = "";
    const char* before = "";
    const char* middle = "";
    const char* after = "";
    const char* end = "";

    std::string text(std::size_t depth) const {
        std::string all = start;
        for (std::size_t i = 0; i < depth; ++i) all += before;
        all += middle;
        for (std::size_t i = 0; i < depth; ++i) all += after;
        return all + end;
    }
};

constexpr shape shapes[] = {
    {"left operators", "SELECT ", "", "1", "+1"},
    {"right operators", "SELECT ", "- ", "1", ""},
    {"glued operators", "SELECT 1", "+-", "1", ""},
    {"casts", "SELECT 1", "", "", "::x"},
    {"not", "SELECT ", "NOT ", "a", ""},
    {"is null", "SELECT a", "", "", " IS NULL"},
    {"collate", "SELECT a", "", "", " COLLATE c"},
    {"between", "SELECT x", "", "", " BETWEEN 0 AND 1 IS NULL"},
    {"and", "SELECT 1", "", "", " AND 1"},
    {"parentheses", "SELECT ", "(", "1", ")"},
    {"parentheses that stay open", "SELECT ", "(", "", ""},
    {"brackets", "SELECT ARRAY", "[", "1", "]"},
    {"functions", "SELECT ", "f(1,", "1", ")"},
    {"rows", "SELECT ", "(1,", "1", ")"},
    {"case", "SELECT ", "CASE WHEN a THEN ", "1", " END"},
    {"subqueries", "SELECT ", "(SELECT ", "1", ")"},
    {"values", "", "VALUES((", "VALUES(1)", "))"},
    {"from", "SELECT 1 FROM ", "(SELECT 1 FROM ", "t", ") a"},
    {"joins", "SELECT 1 FROM a", "", "", " JOIN b ON c AND d"},
    {"unions", "SELECT 1,1", "", "", " UNION SELECT 1,1"},
    {"with", "", "WITH a AS (", "SELECT 1", ") SELECT 1"},
    {"types", "SELECT 1", "::t(1", "", ")"},
    // What looks like the end of an operand, of CASE or of a bracket, and is none.
    {"columns named or", "SELECT 1", "", "", "+x.or"},
    {"columns named or behind a comment", "SELECT 1", "", "", "+x./**/or"},
    {"columns named end", "SELECT ", "1+CASE WHEN x.end OR ", "1", " THEN 1 END"},
    {"commas in strings", "SELECT 1", "", "", "||','"},
    {"commas in comments", "SELECT 1", "", "", "+1/*,*/"},
    {"labels named case", "SELECT ", "1+(SELECT 1 AS case,", "1", ")"},
};

unsigned depth_of(const ProtobufCMessage& message) {
    if (message.descriptor == &pg_query__node__descriptor) {
        const auto* inner = message_of(reinterpret_cast<const PgQuery__Node&>(message));
        return inner == nullptr ? 0 : depth_of(*inner);
    }
    unsigned deepest = 0;
    for_each_child(message,
                   [&](const ProtobufCMessage& child, unsigned) { deepest = std::max(deepest, depth_of(child)); });
    return deepest + 1;
}

// 0 for what isn't SQL.
unsigned tree_depth(const std::string& text) {
    const auto tree = parse_tree::of(text.c_str(), text.size());
    unsigned deepest = 0;
    if (tree)
        for (const auto* statement : tree->statements()) deepest = std::max(deepest, depth_of(statement->base));
    return deepest;
}

// One token may make two levels, SELECT for one: an expression and its place in a list; and a statement has a few
// levels of its own. Less would be enough for the stack.
void expect_bounded(const std::string& text) {
    EXPECT_LE(tree_depth(text), 2 * nesting_bound(text.c_str()) + 8) << text.substr(0, 200);
}

TEST(nesting, is_never_more_than_its_bound) {
    for (const auto& it : shapes) {
        SCOPED_TRACE(it.name);
        for (const std::size_t depth : {0U, 1U, 2U, 10U, 100U}) expect_bounded(it.text(depth));
    }
}

// Shapes inside shapes, as a hostile client would put them together.
TEST(nesting, is_never_more_than_its_bound_in_mixtures) {
    std::mt19937 random(42);
    const std::function<std::string(int)> expression = [&](int budget) -> std::string {
        if (budget <= 0) return random() % 2 == 0 ? "x./*,*/or" : "','";
        const auto inner = [&] { return expression(budget - 1 - static_cast<int>(random() % 3)); };
        switch (random() % 14) {
            case 0:
                return inner() + "+" + inner();
            case 1:
                return "- " + inner();
            case 2:
                return "(" + inner() + ")";
            case 3:
                return "f(1," + inner() + ",x.end)";
            case 4:
                return inner() + "::t";
            case 5:
                return inner() + " OR " + inner();
            case 6:
                return inner() + " AND " + inner();
            case 7:
                return "NOT " + inner();
            case 8:
                return inner() + " IS NULL";
            case 9:
                return "x BETWEEN 1 AND " + inner();
            case 10:
                return "CASE WHEN x.end OR " + inner() + " THEN " + inner() + " ELSE 1 END";
            case 11:
                return "(SELECT " + inner() + " AS case, 1 UNION SELECT 1," + inner() + ")";
            case 12:
                return "ARRAY[1," + inner() + "]";
            default:
                return "EXISTS (SELECT 1 FROM a JOIN b ON " + inner() + " JOIN c USING (d), e)";
        }
    };
    int parsed = 0;
    for (int i = 0; i < 2000; ++i) {
        const auto text = "SELECT 1," + expression(12);
        parsed += tree_depth(text) > 0;
        expect_bounded(text);
    }
    // Otherwise the mixtures show nothing.
    EXPECT_GT(parsed, 1000);
}

TEST(nesting, is_bounded_for_what_people_write) {
    std::string columns = "SELECT a";
    std::string conditions = "SELECT 1 FROM t WHERE a = 1";
    std::string keys = "SELECT 1 FROM t WHERE (a = 1 AND b BETWEEN 2 AND 3)";
    std::string rows = "INSERT INTO t VALUES (1, 'a', now(), -1)";
    std::string in = "SELECT 1 FROM t WHERE a IN (1";
    std::string cases = "SELECT sum(CASE WHEN a = 1 THEN 1 ELSE 0 END)";
    for (int i = 0; i < 1000; ++i) {
        columns += ", t.column_name::text AS other";
        conditions += i % 2 == 0 ? " AND b <> 2" : " OR c LIKE 'x%'";
        keys += " OR (a = 1 AND b BETWEEN 2 AND 3)";
        rows += ", (1, 'a', now(), -1)";
        in += ", -1";
        cases += ", sum(CASE WHEN a = 1 THEN 1 ELSE 0 END)";
    }
    for (const auto& text : {columns, conditions, keys, rows, in + ")", cases}) {
        EXPECT_LT(nesting_bound(text.c_str()), 20U) << text.substr(0, 60);
        EXPECT_FALSE(may_nest_too_deep(text.c_str()));
    }
}

// On a stack of 2 MiB, which is what understand() asks for: the deepest that is let through, and all that isn't.
TEST(nesting, does_not_end_the_process) {
    const auto all_shapes = [](void*) -> void* {
        for (const auto& it : shapes) {
            SCOPED_TRACE(it.name);
            unsigned refused = 0;
            for (const std::size_t depth : {50U, 124U, 165U, 249U, 498U, 2000U, 20'000U}) {
                const auto known = understand(it.text(depth), {.bytes = std::size_t{4} << 20});
                if (!known) ++refused;
            }
            const bool is_flat = std::string_view{it.name} == "and";
            EXPECT_EQ(refused > 0, !is_flat);
        }
        return nullptr;
    };
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    // Their frames, and what they keep of a thread on its stack.
    constexpr std::size_t of_sanitizers = std::size_t{6} << 20;
#else
    constexpr std::size_t of_sanitizers = 0;
#endif
    pthread_attr_t attributes;
    ASSERT_EQ(pthread_attr_init(&attributes), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, (std::size_t{2} << 20) + of_sanitizers), 0);
    pthread_t thread{};
    ASSERT_EQ(pthread_create(&thread, &attributes, all_shapes, nullptr), 0);
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
}

}  // namespace
}  // namespace crossfade::sql
