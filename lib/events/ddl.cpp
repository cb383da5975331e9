#include "lib/events/ddl.hpp"

#include <boost/json.hpp>
#include <charconv>

namespace crossfade::events {

namespace {

namespace json = boost::json;

// The members of an object, as far as they have the type that is asked for; the first that hasn't is remembered.
class members {
  public:
    explicit members(const json::value& of) : object_(of.if_object()) { ok_ = object_ != nullptr; }

    std::string text(std::string_view name) {
        const auto* found = member(name);
        const auto* value = found == nullptr ? nullptr : found->if_string();
        ok_ = ok_ && value != nullptr;
        return value == nullptr ? std::string{} : std::string{*value};
    }
    bool truth(std::string_view name) {
        const auto* found = member(name);
        ok_ = ok_ && found != nullptr && found->is_bool();
        return ok_ && found->get_bool();
    }
    const json::array& list(std::string_view name) {
        static const json::array none;
        const auto* found = member(name);
        ok_ = ok_ && found != nullptr && found->is_array();
        return ok_ ? found->get_array() : none;
    }
    const json::value* member(std::string_view name) const {
        return object_ == nullptr ? nullptr : object_->if_contains(name);
    }
    bool ok() const { return ok_; }

  private:
    const json::object* object_;
    bool ok_;
};

std::optional<ddl_policy> policy_of(std::string_view text) {
    if (text == "note") return ddl_policy::note;
    if (text == "pause") return ddl_policy::pause;
    if (text == "pass") return ddl_policy::pass;
    return std::nullopt;
}

std::optional<ddl_effect> effect_of(std::string_view text) {
    if (text == "altered") return ddl_effect::altered;
    if (text == "partition altered") return ddl_effect::partition_altered;
    if (text == "dropped") return ddl_effect::dropped;
    if (text == "partition dropped") return ddl_effect::partition_dropped;
    if (text == "partition emptied") return ddl_effect::partition_emptied;
    if (text == "column dropped") return ddl_effect::column_dropped;
    if (text == "index" || text == "partition" || text == "new" || text == "created") return ddl_effect::harmless;
    return std::nullopt;
}

bool read(const json::value& from, ddl_table& to) {
    members fields{from};
    to.name = {fields.text("schema"), fields.text("name")};
    to.object = fields.text("object");
    const auto effect = effect_of(fields.text("what"));
    if (effect == ddl_effect::partition_emptied) to.rows = fields.text("rows");
    if (!fields.ok() || !effect) return false;
    to.effect = *effect;
    if (const auto* fresh = fields.member("fresh")) {
        to.fresh.emplace();
        if (!fresh->is_null() && !fresh->is_array()) return false;
        if (fresh->is_array())
            for (const auto& each : fresh->get_array()) {
                if (!each.is_string()) return false;
                to.fresh->emplace_back(each.get_string());
            }
    }
    const auto* columns = fields.member("columns");
    if (columns == nullptr || columns->is_null()) return true;
    if (!columns->is_array()) return false;
    for (const auto& each : columns->get_array()) {
        const auto* pair = each.if_array();
        if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string()) return false;
        to.columns.emplace_back((*pair)[0].get_string(), (*pair)[1].get_string());
    }
    return true;
}

}  // namespace

std::optional<ddl_notice> read_ddl(const model::logical_message& from) {
    ddl_notice made;
    const std::string_view content = from.content;
    const auto end = content.rfind('\n');
    if (end == std::string_view::npos) return std::nullopt;
    made.document = content.substr(0, end);
    made.seal = content.substr(end + 1);

    boost::system::error_code error;
    const auto parsed = json::parse(made.document, error);
    if (error) return std::nullopt;
    members fields{parsed};
    const auto* version = fields.member("version");
    if (version == nullptr || !version->is_int64() || std::to_string(version->get_int64()) != ddl_version)
        return std::nullopt;
    made.stream = fields.text("stream");
    made.tag = fields.text("tag");
    made.statement = fields.text("statement");
    made.role = fields.text("role");
    made.rewritten = fields.truth("rewritten");
    made.direct = fields.truth("direct");
    made.whole = fields.truth("whole");
    const auto policy = policy_of(fields.text("policy"));
    const auto xid = fields.text("xid");
    const auto [stop, wrong] = std::from_chars(xid.data(), xid.data() + xid.size(), made.xid);
    if (!policy || wrong != std::errc{} || stop != xid.data() + xid.size()) return std::nullopt;
    made.policy = *policy;
    for (const auto& each : fields.list("tables")) {
        if (!read(each, made.tables.emplace_back())) return std::nullopt;
    }
    for (const auto& each : fields.list("search_path")) {
        if (!each.is_string()) return std::nullopt;
        made.search_path.emplace_back(each.get_string());
    }
    if (!fields.ok() || made.tables.empty()) return std::nullopt;
    return made;
}

}  // namespace crossfade::events
