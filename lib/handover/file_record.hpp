#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/file_words.hpp"
#include "lib/settings/settings.hpp"

// Which words of the file were heeded, in crossfade.file_words on legacy: proxies read one file at moments of their
// own, and what it asks for is an order once for all of them (docs/adr/0024).
namespace crossfade::handover {

// None, where the schema is from before there were any. Throws trouble, here and below.
std::vector<settings::heeded_word> load_heeded(pgclient::connection& legacy, const std::string& stream);

// What of them goes to `to` is to be heeded anew: what was noted of their scopes is older.
void forget_heeded(pgclient::connection& legacy, const std::string& stream,
                   const std::vector<settings::file_word>& words, settings::side to);

// The same is heeded. `epoch`: in which it was taken up.
// What can't be noted is said: another proxy may then do the same again.
void note_heeded(const settings::configuration& config, const std::vector<settings::file_word>& words,
                 settings::side to, std::int64_t epoch, const std::function<void(const std::string&)>& say);

}  // namespace crossfade::handover
