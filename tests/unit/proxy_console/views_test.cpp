#include "proxy/console/views.hpp"

#include <gmock/gmock.h>

#include "tests/unit/proxy_console/conversation.hpp"

namespace crossfade::proxy::console {
namespace {

using namespace std::chrono_literals;
using test::sample_facts;

std::vector<subject> all_subjects() {
    std::vector<subject> all;
    for (std::size_t each = 0; each < subjects; ++each) all.push_back(static_cast<subject>(each));
    return all;
}

std::vector<std::string> lines(subject what, const facts& from) {
    std::vector<std::string> all;
    for (const auto& each : rows_of(what, from)) {
        std::string bytes;
        put_data_row(bytes, each, {});
        all.push_back(test::transcript(bytes));
    }
    return all;
}

// The type that a cell is of, as its place in `value` says.
std::optional<type> type_of(const value& cell) {
    constexpr std::optional<type> types[] = {std::nullopt, type::boolean, type::int8,
                                             type::text,   type::float8,  type::timestamptz};
    return types[cell.index()];
}

TEST(views, fill_their_columns) {
    for (const auto what : all_subjects()) {
        const auto columns = columns_of(what);
        ASSERT_FALSE(columns.empty()) << to_string(what);
        const auto rows = what == subject::help ? help_rows() : rows_of(what, sample_facts());
        EXPECT_EQ(rows.empty(), what == subject::version) << to_string(what);
        for (const auto& each : rows) {
            ASSERT_EQ(each.size(), columns.size()) << to_string(what);
            for (std::size_t cell = 0; cell < each.size(); ++cell)
                EXPECT_EQ(type_of(each[cell]).value_or(columns[cell].of), columns[cell].of)
                    << to_string(what) << '.' << columns[cell].name;
        }
    }
}

TEST(views, are_empty_where_there_is_nothing) {
    facts nothing;
    nothing.in_force = sample_facts().in_force;
    for (const auto what : {subject::sessions, subject::clients, subject::servers, subject::pools, subject::stats,
                            subject::stream, subject::drift, subject::limits, subject::pauses})
        EXPECT_TRUE(rows_of(what, nothing).empty()) << to_string(what);
}

struct view {
    subject what;
    std::vector<std::string> rows;
};

TEST(views, show_what_there_is) {
    const view table[] = {
        {subject::sessions,
         {"D(1,bob,app,shop,acme,10.0.0.9,50001,legacy,in transaction,2026-11-20 11:59:59.000000+00,"
          "2026-11-20 11:59:00.000000+00,2026-11-20 11:59:58.000000+00,1000,2000,30,4096,"
          "TLSv1.3/TLS_AES_256_GCM_SHA384,10.0.0.5,5432,4711)",
          "D(2,bob,app,shop,acme,10.0.0.9,50001,legacy,paused,2026-11-20 11:59:58.500000+00,"
          "2026-11-20 11:59:00.000000+00,2026-11-20 11:59:58.000000+00,1000,2000,30,4096,"
          "TLSv1.3/TLS_AES_256_GCM_SHA384,10.0.0.5,5432,4711)",
          "D(3,eve,app,shop,acme,10.0.0.9,50001,~,login,2026-11-20 11:59:59.000000+00,"
          "2026-11-20 11:59:00.000000+00,~,1000,2000,30,4096,TLSv1.3/TLS_AES_256_GCM_SHA384,~,~,~)"}},
        {subject::clients,
         {"D(C,bob,app,active,10.0.0.9,50001,10.0.0.1,6432,2026-11-20 11:59:00.000000+00,"
          "2026-11-20 11:59:58.000000+00,0,0,0,C1,S1,0,TLSv1.3/TLS_AES_256_GCM_SHA384,shop,1)",
          "D(C,bob,app,waiting,10.0.0.9,50001,10.0.0.1,6432,2026-11-20 11:59:00.000000+00,"
          "2026-11-20 11:59:58.000000+00,1,500000,0,C2,S2,0,TLSv1.3/TLS_AES_256_GCM_SHA384,shop,2)",
          "D(C,eve,app,login,10.0.0.9,50001,10.0.0.1,6432,2026-11-20 11:59:00.000000+00,~,0,0,0,C3,,0,"
          "TLSv1.3/TLS_AES_256_GCM_SHA384,shop,3)"}},
        {subject::servers,
         {"D(S,bob,app,active,10.0.0.5,5432,10.0.0.1,40001,2026-11-20 11:59:01.000000+00,"
          "2026-11-20 11:59:58.000000+00,0,0,0,S1,C1,4711,,shop,1,legacy)",
          "D(S,bob,app,idle,10.0.0.5,5432,10.0.0.1,40001,2026-11-20 11:59:01.000000+00,"
          "2026-11-20 11:59:58.000000+00,0,0,0,S2,C2,4711,,shop,2,legacy)"}},
        {subject::pools,
         {"D(app,bob,1,1,0,0,1,0,0,1,0,0,0,1,500000,session)", "D(app,eve,1,0,0,0,0,0,0,0,0,0,0,0,0,session)"}},
        {subject::databases,
         {"D(legacy,10.0.0.5,5432,app,~,200,0,0,session,200,2,0,0,t)",
          "D(modern,10.0.0.6,5433,app2,~,200,0,0,session,200,0,0,0,f)"}},
        {subject::lists,
         {"D(databases,1)", "D(users,2)", "D(pools,2)", "D(free_clients,0)", "D(used_clients,2)", "D(login_clients,1)",
          "D(free_servers,0)", "D(used_servers,2)", "D(pauses,1)"}},
        {subject::stats, {"D(*,1000,3000,50000,70000,~,9000000,60000,10,33,500,1000,~,2000,1000)"}},
        {subject::stats_totals, {"D(*,1000,3000,50000,70000,~,9000000,60000)"}},
        {subject::stats_averages, {"D(*,10,33,500,1000,~,2000,1000)"}},
        {subject::flags,
         {"D(7,,,legacy,legacy-primary,t,legacy-primary,legacy,5e-04,f,t,100,stream)",
          "D(7,orders,,legacy,legacy-primary,t,legacy-primary,legacy,0.25,f,t,100,stream)"}},
        {subject::stream, {"D(app,publishing,,,0/16B3748,0/16B3750,12,4096)"}},
        {subject::drift,
         {"D(acme,public.orders,update_missing,confirmed,3,2026-11-20 11:00:00.000000+00,"
          "2026-11-20 12:00:00.000000+00)"}},
        {subject::limits, {"D(sessions,sessions,3,5,200,proxy.max_sessions)", "D(message,bytes,0,~,1024,)"}},
        {subject::users, {"D(bob,session,0,2)", "D(eve,session,0,1)"}},
        {subject::mem, {"D(sessions,4096,3,0,12288)", "D(event loops,1000,2,0,2000)"}},
        {subject::pauses, {"D(TENANT acme,2026-11-20 11:59:58.000000+00,2026-11-20 12:05:00.000000+00,ann,3,1)"}},
    };
    for (const auto& each : table)
        EXPECT_THAT(lines(each.what, sample_facts()), testing::ElementsAreArray(each.rows)) << to_string(each.what);
}

TEST(views, show_no_secrets) {
    const auto shown = lines(subject::config, sample_facts());
    EXPECT_THAT(shown, testing::Contains("D(legacy.dsn,(not shown),~,no)"));
    EXPECT_THAT(shown, testing::Contains("D(proxy.max_sessions,200,1000,yes)"));
    EXPECT_THAT(shown, testing::Contains("D(groups.orders.tables,[public.orders],~,yes)"));
    for (const auto& each : shown) EXPECT_EQ(each.find("hunter2"), std::string::npos) << each;
}

TEST(views, show_a_database_as_paused_only_while_all_of_it_is) {
    auto now = sample_facts();
    now.holds = {};
    now.holds.add({{.group = {}, .tenant = {}, .database = "app"}, now.now, now.now + 1s, "ann"});
    const auto paused = [&] {
        std::vector<value> cells;
        for (const auto& each : rows_of(subject::databases, now)) cells.push_back(each[11]);
        return cells;
    };
    EXPECT_EQ(paused(), (std::vector<value>{std::int64_t{1}, std::int64_t{0}}));
    now.now += 1s;
    EXPECT_EQ(paused(), (std::vector<value>{std::int64_t{0}, std::int64_t{0}}));
}

TEST(views, have_averages_from_the_first_moment_on) {
    auto now = sample_facts();
    now.traffic[0].before = now.traffic[0].now;
    now.traffic[0].apart = 0us;
    EXPECT_THAT(lines(subject::stats_averages, now), testing::ElementsAre("D(*,0,0,0,0,~,0,0)"));
}

TEST(views, tell_who_is_in_the_way_of_a_pause) {
    auto sessions = sample_facts().sessions;  // in transaction, paused, log-in
    sessions.push_back(sessions[0]);
    sessions.back().id = 4;
    sessions.back().state = session_state::active;
    sessions.back().tenant = "zenith";
    sessions.push_back(sessions[0]);
    sessions.back().id = 5;
    sessions.back().state = session_state::idle;
    EXPECT_THAT(in_the_way({}, sessions), testing::ElementsAre(1, 4));
    EXPECT_THAT(in_the_way({.group = "any", .tenant = "acme", .database = {}}, sessions), testing::ElementsAre(1));
    EXPECT_THAT(in_the_way({.group = {}, .tenant = {}, .database = "other"}, sessions), testing::IsEmpty());
}

// As the console of PgBouncer 1.18 says them itself, in its order; ours may follow.
TEST(views, keep_pgbouncers_columns) {
    const std::string_view ends =
        "type user database state addr port local_addr local_port connect_time request_time wait wait_us close_needed "
        "ptr link remote_pid tls application_name";
    const std::string_view half =
        "database xact_count query_count bytes_received bytes_sent xact_time query_time wait_time";
    const std::pair<subject, std::string_view> table[] = {
        {subject::clients, ends},
        {subject::servers, ends},
        {subject::pools,
         "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel "
         "sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode"},
        {subject::databases,
         "name host port database force_user pool_size min_pool_size reserve_pool pool_mode max_connections "
         "current_connections paused disabled"},
        {subject::stats,
         "database total_xact_count total_query_count total_received total_sent total_xact_time total_query_time "
         "total_wait_time avg_xact_count avg_query_count avg_recv avg_sent avg_xact_time avg_query_time avg_wait_time"},
        {subject::stats_totals, half},
        {subject::stats_averages, half},
        {subject::config, "key value default changeable"},
        {subject::lists, "list items"},
        {subject::version, "version"},
    };
    for (const auto& [what, names] : table) {
        std::string ours;
        for (const auto& each : columns_of(what)) ours += (ours.empty() ? "" : " ") + std::string{each.name};
        EXPECT_THAT(ours + ' ', testing::StartsWith(std::string{names} + ' ')) << to_string(what);
    }
}

}  // namespace
}  // namespace crossfade::proxy::console
