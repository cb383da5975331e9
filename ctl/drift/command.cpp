#include "ctl/drift/command.hpp"

#include "ctl/catalog/database.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/pattern.hpp"
#include "ctl/output/table.hpp"

namespace crossfade::ctl::drift {

namespace {

using catalog::ask;

pgclient::parameter unless_empty(const std::string& text) {
    return text.empty() ? pgclient::parameter{} : pgclient::parameter{text};
}

constexpr const char* records_sql = R"(
SELECT tenant, table_name, key::text, kind, state, coalesce(to_json(columns)::text, '[]'), seen,
       to_char(first_seen, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), to_char(last_seen, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       coalesce(commit_lsn::text, ''), count(*) OVER ()
FROM crossfade.drift
WHERE stream = $1 AND ($2::text IS NULL OR table_name LIKE $2) AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR state = $4)
ORDER BY last_seen DESC, id DESC
LIMIT $5::int)";

}  // namespace

exit_code list(const context& in, const options& with) {
    auto modern = catalog::connect(in.config, settings::side::modern);
    if (ask(modern, "asking modern", "SELECT to_regclass('crossfade.drift') IS NOT NULL").boolean(0, 0) == false)
        throw stop(exit_code::no, "schema crossfade does not exist on modern", "crossfade init");
    const auto found = ask(modern, "reading crossfade.drift", records_sql,
                           {in.config.stream.name, unless_empty(output::like_of(with.table)), unless_empty(with.kind),
                            unless_empty(with.state), std::to_string(with.limit)});
    const std::int64_t total = found.empty() ? 0 : found.integer(0, 10).value_or(0);

    if (in.json()) {
        boost::json::array records;
        for (int i = 0; i < found.size(); ++i)
            records.push_back({{"tenant", found.text(i, 0)},
                               {"table", found.text(i, 1)},
                               {"key", boost::json::parse(found.text(i, 2))},
                               {"kind", found.text(i, 3)},
                               {"state", found.text(i, 4)},
                               {"columns", boost::json::parse(found.text(i, 5))},
                               {"seen", found.integer(i, 6).value_or(0)},
                               {"first_seen", found.text(i, 7)},
                               {"last_seen", found.text(i, 8)},
                               {"commit_lsn", found.text(i, 9)}});
        in.out << output::pretty({{"total", total}, {"records", records}});
        return exit_code::fine;
    }
    if (found.empty()) {
        in.out << "no drift recorded\n";
        return exit_code::fine;
    }
    output::table table(
        {{"last seen"}, {"tenant"}, {"table"}, {"kind"}, {"state"}, {"seen", output::align::right}, {"key"}});
    for (int i = 0; i < found.size(); ++i) {
        const auto cell = [&](int column) { return std::string{found.text(i, column)}; };
        table.add({cell(8), cell(0), cell(1), cell(3), cell(4), cell(6), cell(2)});
    }
    in.out << table.render() << '\n' << found.size() << " of " << total << " records\n";
    return exit_code::fine;
}

}  // namespace crossfade::ctl::drift
