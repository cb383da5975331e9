# shellcheck shell=bash disable=SC2154 # what is shared is set in script/demo
# The application: two tenants of the shop and pgbench's TPC-B, all by way of the proxy. Every few seconds the clients
# hang up and connect again. Rates are held down for the mock cluster's sake, which forgets messages beyond 5 MB.

# traffic NAME TENANT PGBENCH-ARGUMENTS...: until the file traffic.stop is there.
traffic() {
    local name=$1 tenant=$2
    shift 2
    local status=0
    while [[ ! -e $work/traffic.stop ]]; do
        PGPASSWORD=window PGOPTIONS="${tenant:+-c app.tenant=$tenant}" PGAPPNAME="shop-$name" \
            "$pg/pgbench" -n -T 4 -h 127.0.0.1 -p "$proxy_port" -U shop "$@" app || status=1
        # A client error ends the traffic, so that the verdict tells.
        ((status == 0)) || break
    done
    return "$status"
}

start_traffic() {
    local scale=$1 scripts
    scripts=(-f "$root/demo/pgbench/browse.sql@6" -f "$root/demo/pgbench/place_order.sql@4" -f "$root/demo/pgbench/pay_order.sql@3"
        -f "$root/demo/pgbench/edit_profile.sql@2" -f "$root/demo/pgbench/cancel_order.sql@1"
        -f "$root/demo/pgbench/change_quantity.sql@2")
    rm -f "$work/traffic.stop"
    traffic acme acme -c 3 -M prepared --rate $((60 * scale)) "${scripts[@]}" >"$work/logs/traffic-acme.log" 2>&1 &
    pid_of["traffic-acme"]=$!
    traffic globex globex -c 2 -M simple --rate $((40 * scale)) "${scripts[@]}" >"$work/logs/traffic-globex.log" 2>&1 &
    pid_of["traffic-globex"]=$!
    traffic tpcb '' -c 3 -M extended --rate $((40 * scale)) -b tpcb-like >"$work/logs/traffic-tpcb.log" 2>&1 &
    pid_of["traffic-tpcb"]=$!
    started+=(traffic-acme traffic-globex traffic-tpcb)
}

# Waits for the clients to finish what they have begun. Fails when one of them met an error.
stop_traffic() {
    local name status=0
    touch "$work/traffic.stop"
    for name in acme globex tpcb; do
        wait "${pid_of[traffic-$name]}" || status=1
        unset "pid_of[traffic-$name]"
    done
    return "$status"
}

# answered [NAME]: transactions that pgbench was told are done.
answered() {
    local logs=("$work"/logs/traffic-*.log)
    [[ -z ${1:-} ]] || logs=("$work/logs/traffic-$1.log")
    awk -F': ' '/number of transactions actually processed/ { n += $2 } END { print n + 0 }' "${logs[@]}"
}
