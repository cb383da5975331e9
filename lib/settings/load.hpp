#pragma once

#include <boost/system/result.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/settings/settings.hpp"

namespace crossfade::settings {

// One thing that is wrong with a configuration.
struct problem {
    std::string file;
    int line = 0;  // 1-based; 0 when it comes from the environment
    std::string key;
    std::string found;    // never a secret: dsn and kafka.properties values are not repeated
    std::string allowed;  // what would be right, and how to mend it
};

// "crossfade.yaml:12: flags.dual_write_strategy: found 'mirrored'; allowed: legacy-only, legacy-primary, …"
std::string to_string(const problem& what);

using environment = std::function<std::optional<std::string>(std::string_view name)>;
environment process_environment();

// All problems of the file at once; never empty.
struct refusal {
    std::vector<problem> problems;
};
// Needed by boost::system::result::value(); load's callers look before they take.
[[noreturn]] void throw_exception_from_error(const refusal& refused, const boost::source_location& where);

// Reads and checks a whole file; flags named in the environment (DUAL_WRITE_STRATEGY, ...) win over the file's top
// level, ${NAME} and *_file keys bring secrets in. Fails with every problem found; a file that can't be read is one.
boost::system::result<configuration, refusal> load(const std::string& path, const environment& env);

// The same for text that is at hand; `file` is for the messages.
boost::system::result<configuration, refusal> parse(std::string_view text, const std::string& file,
                                                    const environment& env);

}  // namespace crossfade::settings
