#include "ctl/flags/command.hpp"

#include <chrono>

#include "ctl/flags/compare.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "ctl/status/program.hpp"
#include "lib/settings/describe.hpp"

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

}  // namespace

exit_code show(const context& in, const options& with) {
    const auto file = scopes_of(in.config.flags, with);
    const auto proxy = status::ask_program(in.config.proxy.admin);

    boost::json::value epoch = nullptr;
    std::vector<flag_difference> differences;
    if (proxy.answer) {
        const auto* flags = proxy.answer->if_contains("flags");
        const auto* scopes =
            flags != nullptr && flags->is_object() ? flags->get_object().if_contains("scopes") : nullptr;
        if (flags != nullptr && flags->is_object() && flags->get_object().contains("epoch"))
            epoch = flags->get_object().at("epoch");
        // Differences of all scopes: a scope that one side does not know is one.
        if (scopes != nullptr && scopes->is_array())
            differences =
                compare(settings::flags_json(in.config.flags, 0).at("scopes").as_array(), scopes->get_array());
    }
    const auto code = !proxy.answer ? exit_code::unreachable : differences.empty() ? exit_code::fine : exit_code::no;
    if (in.json()) {
        boost::json::array changed;
        for (const auto& each : differences)
            changed.push_back({{"group", each.group},
                               {"tenant", each.tenant},
                               {"flag", each.flag},
                               {"file", each.in_file},
                               {"running", each.running}});
        in.out << output::pretty(
            {{"scopes", file}, {"proxy_epoch", epoch}, {"proxy_problem", proxy.problem}, {"differences", changed}});
        return code;
    }
    print_scopes(file, in.out);
    in.out << '\n';
    if (!proxy.answer) {
        in.out << "proxy at " << to_string(in.config.proxy.admin) << " did not answer: " << proxy.problem << '\n';
    } else if (differences.empty()) {
        in.out << "in force: the proxy runs with these flags, epoch " << text_of(epoch) << '\n';
    } else {
        for (const auto& each : differences)
            in.out << "differs: " << (each.group.empty() ? "" : "group " + each.group + " ")
                   << (each.tenant.empty() ? "" : "tenant " + each.tenant + " ") << each.flag << ": file "
                   << (each.in_file.empty() ? "(none)" : each.in_file) << ", proxy "
                   << (each.running.empty() ? "(none)" : each.running) << '\n';
        in.out << "NOT in force: the proxy has epoch " << text_of(epoch) << "; reload it: POST http://"
               << to_string(in.config.proxy.admin) << "/-/reload\n";
    }
    return code;
}

}  // namespace crossfade::ctl::flags
