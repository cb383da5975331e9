#include "ctl/flags/command.hpp"

#include "ctl/catalog/database.hpp"
#include "ctl/flags/compare.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "ctl/status/program.hpp"
#include "lib/settings/describe.hpp"
#include "lib/settings/directions.hpp"
#include "lib/store/authority.hpp"

namespace crossfade::ctl::flags {

namespace {

boost::json::array select(const boost::json::array& scopes, const options& with) {
    const auto matches = [](const boost::json::object& scope, std::string_view key,
                            const std::optional<std::string>& wanted) {
        return !wanted || (scope.contains(key) && text_of(scope.at(key)) == *wanted);
    };
    boost::json::array selected;
    for (const auto& each : scopes)
        if (each.is_object() && matches(each.get_object(), "group", with.group) &&
            matches(each.get_object(), "tenant", with.tenant))
            selected.push_back(each);
    return selected;
}

// A scope that the file doesn't write down still has flags: those it takes over.
boost::json::array scopes_of(const settings::flag_set& flags, const options& with) {
    auto selected = select(settings::flags_json(flags, 0).at("scopes").as_array(), with);
    if (!selected.empty() || (!with.group && !with.tenant)) return selected;
    const auto inherited = flags.resolve(with.group.value_or(""), with.tenant.value_or(""));
    const settings::flag_set alone(inherited, {}, {});
    selected = settings::flags_json(alone, 0).at("scopes").as_array();
    for (auto& each : selected) {
        each.get_object()["group"] = with.group.value_or("");
        each.get_object()["tenant"] = with.tenant.value_or("");
    }
    return selected;
}

void print_scopes(const boost::json::array& scopes, std::ostream& out) {
    output::table table({{"group"}, {"tenant"}, {"flag"}, {"value"}});
    for (const auto& each : scopes) {
        const auto& scope = each.as_object();
        const auto or_all = [](const std::string& name) { return name.empty() ? std::string{"(all)"} : name; };
        for (const auto& [name, value] : scope.at("flags").as_object())
            table.add({or_all(text_of(scope.at("group"))), or_all(text_of(scope.at("tenant"))), std::string{name},
                       text_of(value)});
    }
    out << table.render();
}

// Who is in charge, as the databases have it. Nothing where the file alone says it: without stream.both_ways, or before
// `crossfade init`.
struct databases_word {
    std::optional<settings::assignment> decided;
    std::vector<std::string> problems;  // of databases that didn't tell

    // One that is away may be the only one that has heard of a flip, so that this isn't all that there is to know.
    bool whole() const { return problems.empty(); }
    bool any() const { return whole() || decided.has_value(); }
};

databases_word ask_databases(const settings::configuration& config) {
    databases_word told;
    if (!config.stream.both_ways) return told;
    const auto row_on = [&](settings::side which) -> std::optional<store::authority_row> {
        const std::string name{to_string(which)};
        try {
            auto side = catalog::connect(config, which);
            auto found = store::load_authority(side, settings::forth_stream(config));
            if (found) return std::move(*found);
            told.problems.push_back(name + " does not say who is in charge: " + to_string(found.error()));
        } catch (const stop& why) {
            told.problems.push_back(name + " does not say who is in charge: " + why.what());
        }
        return std::nullopt;
    };
    const auto by_legacy = row_on(settings::side::legacy);
    const auto by_modern = row_on(settings::side::modern);
    if (const auto* now = store::newer(by_legacy, by_modern)) told.decided = now->authorities;
    return told;
}

void print_differences(const std::vector<flag_difference>& all, std::string_view ours, std::ostream& out) {
    for (const auto& each : all)
        out << "differs: " << (each.group.empty() ? "" : "group " + each.group + " ")
            << (each.tenant.empty() ? "" : "tenant " + each.tenant + " ") << each.flag << ": " << ours << ' '
            << (each.in_file.empty() ? "(none)" : each.in_file) << ", proxy "
            << (each.running.empty() ? "(none)" : each.running) << '\n';
}

}  // namespace

exit_code show(const context& in, const options& with) {
    const auto file = scopes_of(in.config.flags, with);
    const auto proxy = status::ask_program(in.config.proxy.admin);
    const auto databases = ask_databases(in.config);

    boost::json::value epoch = nullptr;
    std::vector<flag_difference> differences;
    if (proxy.answer) {
        const auto* flags = proxy.answer->if_contains("flags");
        const auto* scopes =
            flags != nullptr && flags->is_object() ? flags->get_object().if_contains("scopes") : nullptr;
        if (flags != nullptr && flags->is_object() && flags->get_object().contains("epoch"))
            epoch = flags->get_object().at("epoch");
        // Differences of all scopes: a scope that one side does not know is one.
        if (scopes != nullptr && scopes->is_array() && databases.any())
            differences = compare(in.config.flags, databases.decided, scopes->get_array());
    }
    const auto code = !proxy.answer || !databases.whole() ? exit_code::unreachable
                      : differences.empty()               ? exit_code::fine
                                                          : exit_code::no;
    if (in.json()) {
        boost::json::array changed;
        for (const auto& each : differences)
            changed.push_back({{"group", each.group},
                               {"tenant", each.tenant},
                               {"flag", each.flag},
                               {"file", each.in_file},
                               {"running", each.running}});
        const auto& decided = databases.decided;
        in.out << output::pretty(
            {{"scopes", file},
             {"in_charge", decided ? boost::json::value(to_string(*decided)) : boost::json::value(nullptr)},
             {"database_problems", output::strings(databases.problems)},
             {"proxy_epoch", epoch},
             {"proxy_problem", proxy.problem},
             {"differences", changed}});
        return code;
    }
    print_scopes(file, in.out);
    in.out << '\n';
    for (const auto& each : databases.problems) in.out << each << '\n';
    if (databases.decided) in.out << "the databases have in charge: " << to_string(*databases.decided) << '\n';
    if (!proxy.answer) {
        in.out << "proxy at " << to_string(in.config.proxy.admin) << " did not answer: " << proxy.problem << '\n';
    } else if (!databases.any()) {
        in.out << "the proxy has epoch " << text_of(epoch) << "; what it should have, the databases would say\n";
    } else if (differences.empty()) {
        in.out << "in force: the proxy runs with these flags, epoch " << text_of(epoch) << '\n';
    } else {
        print_differences(differences, databases.decided ? "file and databases" : "file", in.out);
        in.out << "NOT in force: the proxy has epoch " << text_of(epoch) << "; reload it: POST http://"
               << to_string(in.config.proxy.admin) << "/-/reload"
               << (databases.decided ? " (of a flip it hears by itself: ask again)" : "") << '\n';
    }
    return code;
}

}  // namespace crossfade::ctl::flags
