# shellcheck shell=bash disable=SC2154,SC2153 # what is shared is set in script/demo
# Two throwaway PostgreSQL clusters, and the shop in them.

postgres_bin() {
    local candidate
    for candidate in /usr/lib/postgresql/*/bin; do
        [[ -x $candidate/initdb ]] && printf '%s\n' "$candidate"
    done | sort -V | tail -n 1
}

# initdb and postgres refuse to run as root.
as_postgres=()
if ((EUID == 0)); then as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups --); fi

# start_cluster legacy|modern PORT [SETTING...]
start_cluster() {
    local name=$1 port=$2
    shift 2
    local data=$work/$name/data
    mkdir -p "$work/$name"
    ((EUID != 0)) || chown postgres: "$work/$name"
    (cd "$work/$name" && "${as_postgres[@]}" "$pg/initdb" -D "$data" -U crossfade -A trust -E UTF8 --locale=C.UTF-8 --no-sync) \
        >"$work/logs/$name.initdb.log" 2>&1
    # The application logs in with a password.
    "${as_postgres[@]}" sh -c "cat >'$data/pg_hba.conf'" <<-HBA
	local all         all               trust
	host  all         shop 127.0.0.1/32 scram-sha-256
	host  all         all  127.0.0.1/32 trust
	host  replication all  127.0.0.1/32 trust
	HBA
    run_cluster "$name" "$port" "$@"
    # The same secret on both, as pg_dumpall brings it: who was let in by one can be let in by the other.
    local secret=window
    [[ $name == legacy ]] || secret=$(on legacy postgres -c "SELECT rolpassword FROM pg_authid WHERE rolname = 'shop'")
    on "$name" postgres -c "CREATE ROLE shop LOGIN PASSWORD '$secret'" -c "CREATE DATABASE app OWNER shop"
}

# As start_cluster, of one that is there.
run_cluster() {
    local name=$1 port=$2 setting settings=()
    shift 2
    for setting in listen_addresses=127.0.0.1 "port=$port" "unix_socket_directories=$work/$name" fsync=off \
        max_connections=60 log_min_messages=warning "$@"; do
        settings+=(-c "$setting")
    done
    start "$name" env -C "$work/$name" "${as_postgres[@]}" "$pg/postgres" -D "$work/$name/data" "${settings[@]}"
    wait_for 30 "PostgreSQL ($name)" "$pg/pg_isready" -q -U crossfade -d postgres -h 127.0.0.1 -p "$port"
}

# on legacy|modern [DATABASE] PSQL-ARGUMENTS...: as an administrator, past the proxy. Unaligned, tuples only.
on() {
    local side=$1 database=app port
    shift
    if [[ $1 != -* ]]; then
        database=$1
        shift
    fi
    if [[ $side == legacy ]]; then port=$legacy_port; else port=$modern_port; fi
    PGOPTIONS='-c client_min_messages=warning' \
        "$pg/psql" -X -qAt -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U crossfade -d "$database" "$@"
}

create_shop() {
    local side
    for side in legacy modern; do
        on "$side" -c 'SET ROLE shop' -f "$root/demo/sql/shop.sql"
    done
    on legacy -c 'SET ROLE shop' -f "$root/demo/sql/rows.sql"
    # pgbench's own tables: with keys on both sides, rows on legacy.
    PGPASSWORD=window "$pg/pgbench" -i -I dtGp -s 1 -q -h 127.0.0.1 -p "$legacy_port" -U shop app >"$work/logs/pgbench-init.log" 2>&1
    PGPASSWORD=window "$pg/pgbench" -i -I dtp -s 1 -q -h 127.0.0.1 -p "$modern_port" -U shop app >>"$work/logs/pgbench-init.log" 2>&1
}

# One line a table: name, rows, digest of every row. By psql alone, so that Crossfade isn't the judge of itself.
fingerprints() {
    local side=$1 table
    on "$side" -c "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1" |
        while read -r table; do
            on "$side" </dev/null -F ' ' -c "SELECT '$table', count(*), md5(coalesce(string_agg(row_digest, '' ORDER BY row_digest), ''))
                FROM (SELECT md5(t::text) AS row_digest FROM $table AS t) AS digests"
        done
}
