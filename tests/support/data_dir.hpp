#pragma once

#include <filesystem>

namespace crossfade::support {

// To the user `postgres` where we are root, as whom the server doesn't run. Throws where there is none.
void give_to_server(const std::filesystem::path& folder);

// Makes what `initdb` makes at `at`, where nothing is yet, with a database `app` in it and a system identifier of its
// own. It is a copy of what was made once for these programs, in the build's folder: initdb takes a second of CPU time,
// and the tests want hundreds. Throws where it can't.
void make_data_dir(const std::filesystem::path& bin_dir, const std::filesystem::path& at);

}  // namespace crossfade::support
