#include "lib/settings/secrets.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace crossfade::settings {
namespace {

bool is_name(std::string_view text) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    return !text.empty() && text.find_first_not_of(letters) == std::string_view::npos &&
           (text.front() < '0' || text.front() > '9');
}

}  // namespace

void throw_exception_from_error(const objection& what, const boost::source_location&) {
    throw std::runtime_error(what.text);
}

or_objection<std::string> expand(std::string_view text, const environment& env) {
    std::string expanded;
    while (!text.empty()) {
        const auto dollar = text.find('$');
        expanded += text.substr(0, dollar);
        if (dollar == std::string_view::npos) break;
        text.remove_prefix(dollar);
        if (text.starts_with("$${")) {
            expanded += "${";
            text.remove_prefix(3);
        } else if (text.starts_with("${")) {
            const auto end = text.find('}');
            const auto name = text.substr(2, end == std::string_view::npos ? 0 : end - 2);
            if (!is_name(name))
                return objection::because("${NAME} with the name of an environment variable; $${ stands for ${");
            const auto value = env(name);
            if (!value)
                return objection::because("the environment variable " + std::string(name) + ", which is not set");
            expanded += *value;
            text.remove_prefix(end + 1);
        } else {
            expanded += '$';
            text.remove_prefix(1);
        }
    }
    return expanded;
}

or_objection<std::string> read_file(const std::string& path, std::size_t most) {
    std::error_code failed;
    if (std::filesystem::is_directory(path, failed)) return objection::because("Is a directory");
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    if (!in) return objection::because(std::generic_category().message(errno));
    std::string content(most + 1, '\0');
    in.read(content.data(), static_cast<std::streamsize>(content.size()));
    if (in.bad()) return objection::because(std::generic_category().message(errno));
    content.resize(static_cast<std::size_t>(in.gcount()));
    if (content.size() > most) return objection::because("more than " + std::to_string(most / 1024) + " KiB");
    return content;
}

or_objection<std::string> read_secret(const std::string& path, const std::string& beside) {
    constexpr std::size_t most = 64 * 1024;
    auto content = read_file(std::filesystem::path(beside).parent_path() / path, most);
    if (!content) return objection::because("a file that can be read: " + content.error().text);
    while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) content->pop_back();
    if (content->empty()) return objection::because("a file that is not empty");
    return content;
}

}  // namespace crossfade::settings
