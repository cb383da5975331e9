#include "ctl/output/json.hpp"

namespace crossfade::ctl::output {

namespace {

void print(const boost::json::value& value, const std::string& indent, std::string& text) {
    const std::string inner = indent + "  ";
    if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
        text += "{\n";
        bool first = true;
        for (const auto& [key, member] : *object) {
            if (!first) text += ",\n";
            first = false;
            text += inner + boost::json::serialize(boost::json::string{key}) + ": ";
            print(member, inner, text);
        }
        text += '\n' + indent + '}';
    } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
        text += "[\n";
        bool first = true;
        for (const auto& element : *array) {
            if (!first) text += ",\n";
            first = false;
            text += inner;
            print(element, inner, text);
        }
        text += '\n' + indent + ']';
    } else {
        text += boost::json::serialize(value);
    }
}

}  // namespace

std::string pretty(const boost::json::value& value) {
    std::string text;
    print(value, {}, text);
    return text + '\n';
}

}  // namespace crossfade::ctl::output
