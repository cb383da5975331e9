#include "ctl/output/pattern.hpp"

namespace crossfade::ctl::output {

std::string like_of(const std::string& pattern) {
    std::string text;
    for (const char c : pattern) {
        if (c == '*') {
            text += '%';
            continue;
        }
        if (c == '%' || c == '_' || c == '\\') text += '\\';
        text += c;
    }
    return text;
}

}  // namespace crossfade::ctl::output
