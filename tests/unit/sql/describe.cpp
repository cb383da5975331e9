#include "tests/unit/sql/describe.hpp"

namespace crossfade::sql {
namespace {

std::string names(const std::optional<std::string>& name) {
    return " " + name.value_or("ALL");
}

std::string modes(const transaction_modes& it) {
    constexpr const char* levels[] = {"read uncommitted", "read committed", "repeatable read", "serializable"};
    std::string text;
    if (it.isolation) text += std::string{" "} + levels[static_cast<std::size_t>(*it.isolation)];
    if (it.read_only) text += *it.read_only ? " read only" : " read write";
    if (it.deferrable) text += *it.deferrable ? " deferrable" : " not deferrable";
    return text;
}

struct effect_text {
    std::string operator()(std::monostate) const { return {}; }
    std::string operator()(const effect::begin& it) const { return "begin" + modes(it.modes); }
    std::string operator()(const effect::commit& it) const { return it.chain ? "commit chain" : "commit"; }
    std::string operator()(const effect::rollback& it) const { return it.chain ? "rollback chain" : "rollback"; }
    std::string operator()(const effect::savepoint& it) const { return "savepoint " + it.name; }
    std::string operator()(const effect::release_savepoint& it) const { return "release " + it.name; }
    std::string operator()(const effect::rollback_to_savepoint& it) const { return "rollback to " + it.name; }
    std::string operator()(effect::prepare_transaction) const { return "prepare transaction"; }
    std::string operator()(effect::commit_prepared) const { return "commit prepared"; }
    std::string operator()(effect::rollback_prepared) const { return "rollback prepared"; }
    std::string operator()(const effect::set_transaction& it) const { return "set transaction" + modes(it.modes); }
    std::string operator()(effect::import_snapshot) const { return "import snapshot"; }
    std::string operator()(const effect::set_transaction_defaults& it) const {
        return "set defaults" + modes(it.modes);
    }
    std::string operator()(const effect::set_parameter& it) const {
        std::string text = it.local ? "set local " : "set ";
        text += it.name + " =";
        for (const auto& value : it.values) text += " [" + value + "]";
        return text;
    }
    std::string operator()(const effect::reset_parameter& it) const { return "reset " + it.name; }
    std::string operator()(effect::reset_all) const { return "reset ALL"; }
    std::string operator()(const effect::discard& it) const {
        constexpr const char* what[] = {"all", "plans", "sequences", "temporary"};
        return std::string{"discard "} + what[static_cast<std::size_t>(it.what)];
    }
    std::string operator()(const effect::prepare& it) const {
        return "prepare " + it.name + " {" + describe(*it.prepared) + "}";
    }
    std::string operator()(const effect::execute& it) const { return "execute " + it.name; }
    std::string operator()(const effect::deallocate& it) const { return "deallocate" + names(it.name); }
    std::string operator()(const effect::declare_cursor& it) const {
        return (it.with_hold ? "declare hold " : "declare ") + it.name;
    }
    std::string operator()(const effect::close_cursor& it) const { return "close" + names(it.name); }
    std::string operator()(const effect::fetch& it) const { return "fetch " + it.cursor; }
    std::string operator()(const effect::listen& it) const { return "listen " + it.channel; }
    std::string operator()(const effect::unlisten& it) const { return "unlisten" + names(it.channel); }
    std::string operator()(const effect::notify& it) const { return "notify " + it.channel; }
    std::string operator()(effect::create_temporary) const { return "temporary"; }
};

std::string describe(const table_use& it) {
    std::string text = it.schema.empty() ? it.name : it.schema + "." + it.name;
    text += ":";
    if (it.read) text += "r";
    if (it.written) text += "w";
    if (it.locked) text += "l";
    if (it.defined) text += "d";
    return text;
}

}  // namespace

std::string describe(const statement& it) {
    std::string text{to_string(it.kind)};
    text.append(" ").append(to_string(it.calls));
    if (it.read_only) text += " read-only";
    if (it.writes_rows) text += " writes";
    if (it.unknown_tables) text += " anywhere";
    if (it.modifying_cte) text += " cte";
    if (it.has_returning) text += " returning";
    if (it.has_on_conflict) text += " conflict";
    if (it.called.set_config) text += " set_config";
    if (it.called.commit_setting) text += " (commits)";
    for (const auto& name : it.called.settings) text += " (" + name + ")";
    if (it.called.unknown_setting) text += " (?)";
    if (it.called.sequence_value) text += " drawn";
    if (it.called.advisory_lock) text += " lock";
    if (it.called.advisory_unlock) text += " unlock";
    const auto effect = std::visit(effect_text{}, it.effect);
    if (!it.tables.empty() || !effect.empty()) text += ";";
    for (const auto& table : it.tables) text += " " + describe(table);
    if (!effect.empty()) text += "; " + effect;
    return text;
}

std::string describe(std::string_view text, const limits& within) {
    const auto known = understand(text, within);
    if (!known) {
        std::string fault{to_string(known.error().reason)};
        if (known.error().position > 0) fault += " at " + std::to_string(known.error().position);
        return fault;
    }
    std::string all;
    for (const auto& it : *known) all += (all.empty() ? "" : " / ") + describe(it);
    return all;
}

}  // namespace crossfade::sql
