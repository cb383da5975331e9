#include <CLI/CLI.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>

#include "ctl/audit/command.hpp"
#include "ctl/backfill/command.hpp"
#include "ctl/check/command.hpp"
#include "ctl/context.hpp"
#include "ctl/ddl/command.hpp"
#include "ctl/deadletters/command.hpp"
#include "ctl/drift/command.hpp"
#include "ctl/exit_code.hpp"
#include "ctl/flags/command.hpp"
#include "ctl/flip/command.hpp"
#include "ctl/init/command.hpp"
#include "ctl/output/json.hpp"
#include "ctl/status/command.hpp"
#include "ctl/verify/command.hpp"
#include "lib/settings/describe.hpp"
#include "lib/settings/load.hpp"
#include "lib/settings/turned.hpp"
#include "lib/telemetry/log.hpp"
#include "lib/telemetry/version.hpp"

namespace {

using namespace crossfade;
using ctl::context;
using ctl::exit_code;

using command = std::function<exit_code(const context&)>;

// Of the audit log.
struct order {
    std::string by;
    std::string reason;
};

void who_and_why(CLI::App& of, order& into) {
    of.add_option("--by", into.by, "Who orders it, for the audit log (the user of the operating system)");
    of.add_option("--reason", into.reason, "For the audit log");
}

// `chosen` is what the command line named.
void declare_dead_letters(CLI::App& app, command& chosen, order& ordered) {
    auto* letters = app.add_subcommand("deadletters", "Changes that modern has refused, and those behind them")
                        ->require_subcommand(1);

    auto* list = letters->add_subcommand("list", "The oldest first, without values");
    auto table = std::make_shared<std::string>();
    auto limit = std::make_shared<int>(100);
    list->add_option("--table", *table, "Pattern of tables");
    list->add_option("--limit", *limit, "Letters at most (100)")->check(CLI::Range(1, 100000));
    list->callback([&chosen, table, limit] {
        chosen = [table, limit](const context& in) { return ctl::deadletters::list(in, *table, *limit); };
    });

    auto* show = letters->add_subcommand("show", "One of them, as JSON");
    auto id = std::make_shared<std::int64_t>(0);
    auto values = std::make_shared<bool>(false);
    show->add_option("id", *id, "As `list` gives it")->required();
    show->add_flag("--values", *values, "With its row's values");
    show->callback([&chosen, id, values] {
        chosen = [id, values](const context& in) { return ctl::deadletters::show(in, *id, *values); };
    });

    const auto declare_order = [&](const char* name, const char* what, ctl::deadletters::order wanted) {
        auto* each = letters->add_subcommand(name, what);
        who_and_why(*each, ordered);
        auto which = std::make_shared<ctl::deadletters::choice>();
        auto wait = std::make_shared<int>(30);
        each->add_option("--id", which->ids, "These, as `list` gives them");
        each->add_option("--table", which->table, "Those of tables of this pattern");
        each->add_flag("--all", which->all, "All of the stream");
        each->add_option("--wait", *wait, "Seconds to wait until crossfade-cdc has done it (30)")
            ->check(CLI::Range(0, 86400));
        each->callback([&chosen, which, wait, wanted] {
            chosen = [which, wait, wanted](const context& in) {
                return ctl::deadletters::carry_out(in, wanted, *which, std::chrono::seconds{*wait});
            };
        });
    };
    declare_order("replay", "Apply them again, in the stream's order", ctl::deadletters::order::replay);
    declare_order("discard", "Give them up; the rows stay different until they change again or are copied",
                  ctl::deadletters::order::discard);
}

void declare_ddl(CLI::App& app, command& chosen, order& ordered) {
    auto* ddl = app.add_subcommand("ddl", "DDL of legacy that the stream has come by")->require_subcommand(1);

    auto* list = ddl->add_subcommand("list", "The newest first, without their texts");
    auto which = std::make_shared<ctl::ddl::listing>();
    list->add_option("--table", which->table, "Pattern of tables");
    list->add_flag("--paused", which->paused, "Those alone for which a table waits; exit code 1 if there is one");
    list->add_option("--limit", which->limit, "Commands at most (100)")->check(CLI::Range(1, 100000));
    list->callback([&chosen, which] { chosen = [which](const context& in) { return ctl::ddl::list(in, *which); }; });

    const auto of_one = [&](const char* name, const char* what, auto act) {
        auto* each = ddl->add_subcommand(name, what);
        auto id = std::make_shared<std::int64_t>(0);
        each->add_option("id", *id, "As `list` gives it")->required();
        each->callback([&chosen, id, act] { chosen = [id, act](const context& in) { return act(in, *id); }; });
        return each;
    };
    of_one("show", "One of them, as JSON, with its text",
           [](const context& in, std::int64_t id) { return ctl::ddl::show(in, id); });
    const auto release = [&](const char* name, const char* what, ctl::ddl::release how) {
        auto wait = std::make_shared<int>(30);
        auto* each = of_one(name, what, [how, wait](const context& in, std::int64_t id) {
            return ctl::ddl::let_go(in, how, id, std::chrono::seconds{*wait});
        });
        who_and_why(*each, ordered);
        each->add_option("--wait", *wait, "Seconds to wait until crossfade-cdc has done it (30)")
            ->check(CLI::Range(0, 86400));
    };
    release("resume", "Modern has been changed: the tables that wait for it go on", ctl::ddl::release::resume);
    release("skip", "They go on, whatever modern is like", ctl::ddl::release::skip);
}

void declare_audit(CLI::App& app, command& chosen) {
    auto* audit = app.add_subcommand("audit", "What operators have changed")->require_subcommand(1);

    auto* log = audit->add_subcommand("log", "Entries of both databases, the newest first");
    auto which = std::make_shared<ctl::audit::listing>();
    log->add_option("--limit", which->limit, "Entries at most (100)")->check(CLI::Range(1, 100000));
    log->add_option("--action", which->action, "For instance flip, \"flags reload\"");
    log->add_option("--since", which->since, "A time as PostgreSQL reads it: 2026-11-21T18:00Z, yesterday");
    log->callback([&chosen, which] { chosen = [which](const context& in) { return ctl::audit::log(in, *which); }; });

    auto* verify = audit->add_subcommand("verify", "Whether anything was changed, removed or put in between");
    auto heads = std::make_shared<std::vector<std::string>>();
    verify
        ->add_option(
            "--expect-head", *heads,
            "A hash that an earlier call has given, of either database: exit code 1 if there is no such entry any more")
        ->check([](const std::string& hash) {
            const bool fine = hash.size() == 64 && hash.find_first_not_of("0123456789abcdef") == std::string::npos;
            return fine ? std::string{} : std::string{"a hash has 64 hexadecimal digits in lower case"};
        });
    verify->callback(
        [&chosen, heads] { chosen = [heads](const context& in) { return ctl::audit::verify(in, *heads); }; });
}

void declare_flip(CLI::App& app, command& chosen) {
    auto* flip = app.add_subcommand("flip", "Make the other database the authority, while the application runs");
    auto with = std::make_shared<ctl::flip::options>();
    auto history = std::make_shared<int>(0);
    auto* to = flip->add_option("--to", with->to, "legacy or modern")->check(CLI::IsMember({"legacy", "modern"}));
    flip->add_option("--group", with->group, "This table group alone (groups of the file)");
    flip->add_option("--tenant", with->tenant, "This tenant alone: its sessions, and its rows (tenants of the file)");
    flip->add_option("--reason", with->reason, "For the history");
    flip->add_option("--by", with->by, "Who orders it, for the history (the user of the operating system)");
    flip->add_flag("--dry-run", with->dry_run, "Look at the gates alone");
    flip->add_flag("--force", with->force, "Overrule gates that warn; the history names them");
    flip->add_option_function<int>(
            "--hold-max", [with](int ms) { with->hold_max = std::chrono::milliseconds{ms}; },
            "Milliseconds for which an attempt may hold writes before it is undone (500)")
        ->check(CLI::Range(50, 60000));
    flip->add_option_function<int>(
            "--wait", [with](int s) { with->patience = std::chrono::seconds{s}; },
            "Seconds for which attempts are made, and before that another flip's end is waited for (30)")
        ->check(CLI::Range(0, 86400));
    auto* settle = flip->add_flag("--settle", with->settle, "Undo or finish what a flip that died has left");
    auto completes = std::make_shared<bool>(false);
    auto* complete = flip->add_flag("--complete", *completes, "Give the way back to legacy up, for good");
    flip->add_flag("--yes", with->yes, "With --complete: do it, instead of looking at the gates alone")
        ->needs(complete);
    auto* list =
        flip->add_option("--history", *history, "The newest flips, so many of them")->check(CLI::Range(1, 10000));
    settle->excludes(to);
    list->excludes(to)->excludes(settle);
    complete->excludes(to)->excludes(settle)->excludes(list);
    flip->callback([&chosen, with, history, completes] {
        if (*history == 0 && with->to.empty() && !with->settle && !*completes)
            throw CLI::RequiredError("--to, --settle, --complete or --history");
        if (*completes && !(with->group.empty() && with->tenant.empty()))
            throw CLI::ExcludesError("--complete", "--group, --tenant");
        chosen = [with, history, completes](const context& in) {
            return *history > 0 ? ctl::flip::list(in, *history)
                   : *completes ? ctl::flip::complete(in, *with)
                                : ctl::flip::run(in, *with);
        };
    });
}

// The subcommands with their options.
void declare(CLI::App& app, command& chosen, order& ordered) {
    app.add_subcommand("check", "Ask both databases and Kafka whether they are fit; change nothing")->callback([&] {
        chosen = ctl::check::run;
    });

    auto* init = app.add_subcommand("init", "Set the stream up: schema, publication, topics, slot, progress");
    auto init_options = std::make_shared<ctl::init::options>();
    init->add_flag_callback(
        "--replica-identity-full", [init_options] { init_options->unfit = ctl::init::unfit_identity::set_full; },
        "Set REPLICA IDENTITY FULL on tables that need it: without a key, or tied across partitions");
    init->add_option_function<int>(
            "--retention-hours", [init_options](int hours) { init_options->retention = std::chrono::hours(hours); },
            "Retention of topics that are created (168)")
        ->check(CLI::Range(1, 24 * 3650));
    init->add_option("--replication-factor", init_options->replication_factor,
                     "Replication factor of topics that are created (the cluster's default)")
        ->check(CLI::Range(1, 100));
    init->add_option_function<int>(
            "--slot-timeout", [init_options](int s) { init_options->slot_timeout = std::chrono::seconds(s); },
            "Seconds to wait for running transactions to end (60)")
        ->check(CLI::Range(1, 86400));
    who_and_why(*init, ordered);
    init->callback([&chosen, init_options] {
        chosen = [init_options](const context& in) { return ctl::init::run(in, *init_options); };
    });

    auto* backfill = app.add_subcommand("backfill", "Copy tables from legacy to modern, side by side");
    auto copy_options = std::make_shared<ctl::backfill::options>();
    backfill->add_option("--tables", copy_options->tables, "Patterns of tables; all of the stream's when left out");
    backfill->add_option("--parallel", copy_options->parallel, "Tables at a time (2)")->check(CLI::Range(1, 64));
    backfill->add_flag_callback(
        "--resync", [copy_options] { copy_options->start = ctl::backfill::stream_start::anew; },
        "Copy every table and let the stream go on from there: the way out of gaps. With --live it goes on at once");
    backfill
        ->add_option_function<int>(
            "--slot-timeout", [copy_options](int s) { copy_options->slot_timeout = std::chrono::seconds(s); },
            "With --resync: seconds to wait for running transactions to end, where the slot is made anew (60)")
        ->check(CLI::Range(1, 86400));
    const auto live = [copy_options] { copy_options->how = ctl::backfill::manner::live; };
    backfill->add_flag_callback("--live", live, "Let crossfade-cdc copy them chunk by chunk while the stream goes on");
    backfill->add_flag_callback(
        "--again", [copy_options] { copy_options->again = ctl::backfill::copied_tables::again; },
        "With --live: tables that are copied, too, and those under way from their beginning");
    backfill
        ->add_option_function<double>(
            "--max-lag",
            [copy_options](double s) {
                copy_options->max_lag = std::chrono::milliseconds{static_cast<std::int64_t>(s * 1000)};
            },
            "With --live: seconds that the stream may be behind; nothing is copied beyond (5)")
        ->check(CLI::Range(0.1, 86400.0));
    backfill->add_option("--max-rate", copy_options->max_rate, "With --live: bytes a second at most (no limit)")
        ->transform(CLI::AsSizeValue(false));
    backfill->add_flag_callback(
        "--detach", [copy_options] { copy_options->watch = ctl::backfill::watching::no; },
        "With --live: ask for it and don't wait");
    backfill->add_flag_callback(
        "--pause", [copy_options] { copy_options->how = ctl::backfill::manner::pause; },
        "What is copied live stands still, until --live asks for it again");
    who_and_why(*backfill, ordered);
    backfill->callback([&chosen, copy_options] {
        chosen = [copy_options](const context& in) { return ctl::backfill::run(in, *copy_options); };
    });

    app.add_subcommand("status", "Show both programs and both databases on one screen")->callback([&] {
        chosen = ctl::status::run;
    });

    auto* flags = app.add_subcommand("flags", "Flags by scope")->require_subcommand(1);
    auto* show = flags->add_subcommand("show", "Flags of the file and of the running proxy");
    auto flag_options = std::make_shared<ctl::flags::options>();
    show->add_option("--group", flag_options->group, "Only this table group");
    show->add_option("--tenant", flag_options->tenant, "Only this tenant");
    show->callback([&chosen, flag_options] {
        chosen = [flag_options](const context& in) { return ctl::flags::show(in, *flag_options); };
    });

    auto* drift = app.add_subcommand("drift", "Differences that were found")->require_subcommand(1);
    auto* list = drift->add_subcommand("list", "Records of drift, the newest first");
    auto drift_options = std::make_shared<ctl::drift::options>();
    list->add_option("--table", drift_options->table, "Pattern of tables");
    list->add_option("--kind", drift_options->kind, "For instance update_missing, rejected");
    list->add_option("--state", drift_options->state, "suspect, confirmed, repaired or dismissed")
        ->check(CLI::IsMember({"suspect", "confirmed", "repaired", "dismissed"}));
    list->add_option("--limit", drift_options->limit, "Records at most (100)")->check(CLI::Range(1, 100000));
    list->callback([&chosen, drift_options] {
        chosen = [drift_options](const context& in) { return ctl::drift::list(in, *drift_options); };
    });

    declare_dead_letters(app, chosen, ordered);
    declare_ddl(app, chosen, ordered);
    declare_audit(app, chosen);
    declare_flip(app, chosen);

    auto* verify = app.add_subcommand("verify", "Compare every row on both sides");
    auto verify_options = std::make_shared<ctl::verify::options>();
    verify->add_option("--tables", verify_options->tables, "Patterns of tables; all of the stream's when left out");
    verify
        ->add_option_function<int>(
            "--wait", [verify_options](int s) { verify_options->wait = std::chrono::seconds(s); },
            "Seconds to wait until the stream, and the way back, have reached their databases' positions of now")
        ->check(CLI::Range(0, 86400));
    verify->add_option("--limit", verify_options->limit, "Differing rows listed for each table (20)")
        ->check(CLI::Range(0, 1000000));
    verify->callback([&chosen, verify_options] {
        chosen = [verify_options](const context& in) { return ctl::verify::run(in, *verify_options); };
    });
}

exit_code complain(const ctl::stop& why, ctl::output_format format) {
    if (format == ctl::output_format::json) {
        std::cout << ctl::output::pretty(
            {{"error", why.what()}, {"way_out", why.way_out()}, {"exit", static_cast<int>(why.code())}});
    } else {
        std::cerr << "crossfade: " << why.what() << '\n';
        if (!why.way_out().empty()) std::cerr << "way out: " << why.way_out() << '\n';
    }
    return why.code();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Crossfade's command for operators"};
    std::string config_path;
    bool json = false;
    bool back = false;
    command chosen;
    app.set_version_flag("--version", std::string{telemetry::version});
    app.add_option("--config", config_path, "Configuration file of the two programs")->required();
    app.add_flag("--json", json, "Answer in JSON");
    app.add_flag("--back", back, "Of the stream from modern to legacy: deadletters, drift, ddl and backfill");
    app.require_subcommand(1);
    app.fallthrough();
    order ordered;
    declare(app, chosen, ordered);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : static_cast<int>(exit_code::usage);
    }

    auto config = settings::load(config_path, settings::process_environment());
    if (!config) {
        settings::print_problems(std::cerr, config_path, config.error());
        return static_cast<int>(exit_code::usage);
    }
    if (back) {
        const auto named = [&](const char* each) { return app.got_subcommand(each); };
        if (!config->stream.both_ways ||
            !(named("deadletters") || named("drift") || named("ddl") || named("backfill"))) {
            std::cerr << "crossfade: --back goes with deadletters, drift, ddl and backfill of a stream with"
                         " stream.both_ways\n";
            return static_cast<int>(exit_code::usage);
        }
        config = settings::turned(*config);
    }
    // Libraries log what they meet on the way; an answer on the screen is this program's own affair.
    telemetry::configure_log("crossfade", {.format = config->log.format, .level = "err"});

    const auto format = json ? ctl::output_format::json : ctl::output_format::table;
    try {
        return static_cast<int>(chosen({.config = *config,
                                        .format = format,
                                        .out = std::cout,
                                        .notes = std::cerr,
                                        .by = ordered.by,
                                        .reason = ordered.reason}));
    } catch (const ctl::stop& why) {
        return static_cast<int>(complain(why, format));
    } catch (const std::exception& why) {
        return static_cast<int>(complain(ctl::stop(exit_code::no, why.what()), format));
    }
}
