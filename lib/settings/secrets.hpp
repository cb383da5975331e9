#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "lib/settings/load.hpp"

namespace crossfade::settings {

// What was wrong, in words that hold no secret.
class objection {
  public:
    objection() = default;
    // Not a constructor, so that a text is a value and never a failure by conversion.
    static objection because(std::string text) {
        objection made;
        made.text = std::move(text);
        return made;
    }
    std::string text;
};
template <class T>
using or_objection = boost::system::result<T, objection>;
[[noreturn]] void throw_exception_from_error(const objection& what, const boost::source_location& where);

// Replaces each ${NAME} by the environment's value; "$${" stands for "${". Fails for an unset variable and for a "${"
// without an end.
or_objection<std::string> expand(std::string_view text, const environment& env);

// The content of a file with a secret, without the line break at its end. A relative path starts at the folder of
// `beside` (the configuration file). Fails when the file can't be read, is empty or has more than 64 KiB.
or_objection<std::string> read_secret(const std::string& path, const std::string& beside);

// The whole of a file; fails with errc's reason and when it has more than `most` bytes.
or_objection<std::string> read_file(const std::string& path, std::size_t most);

}  // namespace crossfade::settings
