# shellcheck shell=bash disable=SC2154,SC2034 # what is shared is set in script/demo
# Everything that the demo starts is known by its pid, and ended by it: nothing by name, nothing left over.

declare -A pid_of=()
declare -a started=()

# In a session of its own, so that Ctrl-C reaches the demo alone, which then stops the others in their order.
start() {
    local name=$1
    shift
    setsid "$@" >>"$work/logs/$name.log" 2>&1 </dev/null &
    pid_of[$name]=$!
    started+=("$name")
}

running() { [[ -n ${pid_of[$1]:-} ]] && kill -0 "${pid_of[$1]}" 2>/dev/null; }

# stop NAME [SIGNAL [SECONDS]]: asks, waits, and kills what has not gone by then.
stop() {
    local pid=${pid_of[$1]:-}
    [[ -n $pid ]] || return 0
    unset "pid_of[$1]"
    # bash tells of what a signal ended when it reaps it, on standard error; we know.
    end_process "$pid" "${2:-TERM}" "${3:-10}" 2>/dev/null || bad "$1 did not stop within ${3:-10} s; killed"
}

end_process() {
    local pid=$1 signal=$2 seconds=$3 tenths killed=0
    kill -s "$signal" "$pid" || true
    for ((tenths = 0; tenths < seconds * 10; tenths++)); do
        kill -0 "$pid" || break
        sleep 0.1
    done
    if kill -s KILL "$pid"; then killed=1; fi
    wait "$pid" || true
    return "$killed"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
    local seconds=$1 what=$2 deadline
    shift 2
    deadline=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || die "waited $seconds s for $what"
        sleep 0.1
    done
}

# A port below the range that the kernel gives to outgoing connections, that nobody listens on and we have not given away.
declare -A ports_given=()
free_port() {
    local -n into=$1
    local candidate
    while true; do
        candidate=$((20000 + RANDOM % 12000))
        [[ -z ${ports_given[$candidate]:-} ]] || continue
        (exec 3<>"/dev/tcp/127.0.0.1/$candidate") 2>/dev/null && continue
        ports_given[$candidate]=1
        # shellcheck disable=SC2034 # a reference
        into=$candidate
        return
    done
}

# Runs on every way out: the newest first, so that nobody loses what it stands on, and the databases last.
clean_up() {
    local status=$? index
    trap - EXIT INT TERM HUP
    set +e
    [[ -z ${work:-} ]] && exit "$status"
    touch "$work/traffic.stop"
    for ((index = ${#started[@]} - 1; index >= 0; index--)); do
        case ${started[index]} in
            legacy | modern) stop "${started[index]}" INT 10 ;; # a fast shutdown, in PostgreSQL's terms
            traffic-*) stop "${started[index]}" CONT 10 ;; # ends by itself: its file is there
            *) stop "${started[index]}" TERM 10 ;;
        esac
    done
    if ((status != 0 && status < 128)) && [[ -d $work/logs ]]; then # not when somebody broke it off
        local log
        for log in "$work"/logs/*.log; do
            [[ -s $log && $log != *init* ]] || continue
            printf '\n── the last of %s\n' "$(basename "$log")" >&2
            tail -n 8 "$log" >&2
        done
    fi
    if [[ -n ${keep:-} ]]; then
        say "logs and configuration kept in $work"
        rm -rf "$work/legacy" "$work/modern" "$work/kafka"
    else
        rm -rf "$work"
    fi
    exit "$status"
}
