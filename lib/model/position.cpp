#include "lib/model/position.hpp"

namespace crossfade::model {

std::string to_string(const position& at) {
    return std::to_string(at.system_identifier) + '/' + std::to_string(at.timeline) + '/' + to_string(at.commit_lsn) +
           '/' + std::to_string(at.ordinal);
}

std::string to_string(const place& at) {
    return to_string(at.commit_lsn) + " (" + std::to_string(at.ordinal) + ')';
}

}  // namespace crossfade::model
