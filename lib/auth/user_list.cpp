#include "lib/auth/user_list.hpp"

#include <algorithm>
#include <boost/throw_exception.hpp>
#include <stdexcept>

namespace crossfade::auth {
namespace {

constexpr std::size_t longest_name = 63;  // PostgreSQL's NAMEDATALEN - 1

void skip_blanks(std::string_view& line) {
    while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
}

// A text in double quotes, a quote in it twice. Nothing when it isn't one, or doesn't end in this line.
std::optional<std::string> quoted(std::string_view& line) {
    if (!line.starts_with('"')) return std::nullopt;
    line.remove_prefix(1);
    std::string text;
    for (;;) {
        const auto end = line.find('"');
        if (end == std::string_view::npos) return std::nullopt;
        text += line.substr(0, end);
        line.remove_prefix(end + 1);
        if (!line.starts_with('"')) return text;
        text += '"';
        line.remove_prefix(1);
    }
}

std::optional<std::string> name_objection(std::string_view name) {
    if (name.empty()) return "an empty user name";
    if (name.size() > longest_name) return "a user name of more than 63 bytes";
    return std::nullopt;
}

}  // namespace

void throw_exception_from_error(const user_list_fault& fault, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error("line " + std::to_string(fault.line) + ": " + fault.what), where);
}

const user_list::entry* user_list::find(std::string_view user) const {
    if (!entries_) return nullptr;
    const auto found = entries_->find(user);
    return found == entries_->end() ? nullptr : &found->second;
}

boost::system::result<user_list, user_list_fault> parse_user_list(std::string_view text) {
    if (text.size() > user_list::most_bytes) return user_list_fault{1, "more than 4 MiB"};
    user_list::entries read;
    std::size_t in_clear = 0;
    for (int number = 1; !text.empty(); ++number) {
        const auto fault = [number](std::string what) { return user_list_fault{number, std::move(what)}; };
        const auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        skip_blanks(line);
        if (line.empty() || line.starts_with(';')) continue;
        if (line.find('\0') != std::string_view::npos) return fault("a zero byte");

        auto name = quoted(line);
        if (!name) return fault("no user name in double quotes");
        if (auto objected = name_objection(*name)) return fault(std::move(*objected));
        skip_blanks(line);
        const auto secret = quoted(line);
        if (!secret) return fault("no password or verifier in double quotes behind the user name");
        if (!line.empty() && line.front() != ' ' && line.front() != '\t')
            return fault("text right behind a closing quote: a quote within a password is written twice");
        auto kept = parse_stored_secret(*secret);
        if (!kept && secret->size() > longest_secret) return fault("a password of more than 2048 bytes");
        if (!kept && !secret->empty()) return fault("a damaged SCRAM verifier or md5 hash");
        if (kept && std::holds_alternative<clear_password>(*kept) && ++in_clear > user_list::most_clear_passwords)
            return fault("more than 1000 passwords in clear: store verifiers, as pg_authid has them");
        if (read.size() == user_list::most_users) return fault("more than 50000 users");
        if (!read.emplace(std::move(*name), std::move(kept)).second) return fault("the same user a second time");
    }
    user_list made;
    if (!read.empty()) made.entries_ = std::make_shared<const user_list::entries>(std::move(read));
    return made;
}

std::string user_list::digest() const {
    // Under a key of this process's own: a digest that leaves it is of no use to who wants to try passwords.
    static const std::string secret = random_bytes(32);
    if (!entries_) return {};
    std::string all;
    const auto add = [&all](std::string_view part) {
        all.append(std::to_string(part.size())).append(":").append(part);
    };
    for (const auto& [name, kept] : *entries_) {
        add(name);
        if (!kept) {
            add("");
        } else if (const auto* verifier = std::get_if<scram_verifier>(&*kept)) {
            add(build(*verifier));
        } else if (const auto* hash = std::get_if<md5_hash>(&*kept)) {
            add(hash->text);
        } else {
            add(std::get<clear_password>(*kept).text);
        }
    }
    return base64(hmac_sha256(secret, all));
}

user_accounts::user_accounts(const user_list& of, const scram_mock& mock, const user_accounts* before) {
    if (!of.entries_) return;
    for (const auto& [name, kept] : *of.entries_) {
        credential made{.secret = kept, .verifier = {}, .valid_until = {}};
        if (kept) {
            const auto* known = before != nullptr ? before->find(name) : nullptr;
            if (const auto* verifier = std::get_if<scram_verifier>(&*kept)) {
                made.verifier = *verifier;
            } else if (const auto* password = std::get_if<clear_password>(&*kept)) {
                const auto salt = mock.salt_for(name);
                const bool same = known != nullptr && known->secret == kept && known->verifier->salt == salt &&
                                  known->verifier->iterations == mock.iterations();
                made.verifier = same ? *known->verifier : make_scram_verifier(password->text, salt, mock.iterations());
            }
        }
        credentials_.emplace_hint(credentials_.end(), name, std::move(made));
    }
}

const credential* user_accounts::find(std::string_view user) const {
    const auto found = credentials_.find(user);
    return found == credentials_.end() ? nullptr : &found->second;
}

}  // namespace crossfade::auth
