# shellcheck shell=bash disable=SC2154 # what is shared is set in script/demo
# The live view: what both programs' /metrics say, once a second, as one line. Refreshed in place on a terminal; one
# line every two seconds elsewhere.

scrape() { curl -s -m 2 "http://127.0.0.1:$1/metrics" 2>/dev/null || true; }

# metric PORT NAME [LABELS]: the sum over the samples of the name whose labels hold the text; nothing when there is none.
metric() {
    scrape "$1" | awk -v name="$2" -v labels="${3:-}" '
        { split($1, part, "{") } part[1] == name && index($0, labels) { sum += $NF; seen = 1 } END { if (seen) print sum }'
}

# Both pages in, one line out; counters of the last look are kept in a file, for the rates.
live_line() {
    local now
    now=$(date +%s.%N)
    { scrape "$proxy_admin" | sed 's/^/proxy /'; scrape "$cdc_admin" | sed 's/^/cdc /'; } |
        awk -v now="$now" -v elapsed="$((SECONDS - demo_began))" -v last="$work/live.last" '
        function rate(key) { return key in before && key in value && value[key] > before[key] && now > then ? (value[key] - before[key]) / (now - then) : 0 }
        function duration(s) { return s < 10 ? sprintf("%.2f s", s) : sprintf("%d s", s) }
        BEGIN { while ((getline line < last) > 0) { split(line, field, " "); if (field[1] == "now") then = field[2]; else before[field[1]] = field[2] } }
        $2 ~ /^#/ { next }
        { answered[$1] = 1
          split($2, part, "{"); name = part[1]; sum[$1 " " name] += $NF
          if (name ~ /_state$/ && $NF == 1 && match($2, /state="[a-z]+"/)) state[$1] = substr($2, RSTART + 7, RLENGTH - 8) }
        END {
          if (answered["proxy"]) {
            value["committed"] = sum["proxy crossfade_transactions_total"]
            value["published"] = sum["proxy crossfade_events_published_total"]
          }
          if (answered["cdc"]) value["applied"] = sum["cdc crossfade_events_applied_total"]
          printf "now %s\n", now > last
          for (key in value) printf "%s %d\n", key, value[key] > last
          printf "%3d s │ sessions %d │ committed %4d/s │ published %5d/s ", elapsed, sum["proxy crossfade_sessions"], rate("committed"), rate("published")
          if (answered["cdc"])
            printf "│ applied %5d/s │ lag %s │ drift %d │ dead letters %d │ %s, %s", rate("applied"), duration(sum["cdc crossfade_stream_lag_seconds"]),
              sum["cdc crossfade_drift_rows"], sum["cdc crossfade_dead_letters_total"], state["proxy"], state["cdc"]
          else printf "│ crossfade-cdc is down │ %s", state["proxy"]
        }'
}

# watch SECONDS [COMMAND...]: the live view for that long, or until the command succeeds; fails when it never does.
watch() {
    local deadline=$((SECONDS + $1)) line turn=0
    shift
    while ((SECONDS < deadline)); do
        line=$(live_line)
        if [[ -n $interactive ]]; then
            printf '\r\e[K   %s' "${line:0:$((${COLUMNS:-$(tput cols 2>/dev/null || echo 160)} - 4))}"
        elif ((turn++ % 2 == 0)); then
            printf '   %s\n' "$line"
        fi
        if (($# > 0)) && "$@" >/dev/null 2>&1; then
            [[ -z $interactive ]] || printf '\n'
            return 0
        fi
        sleep 0.9
    done
    [[ -z $interactive ]] || printf '\n'
    (($# == 0))
}
