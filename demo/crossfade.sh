# shellcheck shell=bash disable=SC2154 # what is shared is set in script/demo
# The configuration file, the two programs, and what is asked of them.

write_configuration() {
    cat >"$config" <<-YAML
	legacy: { dsn: "postgresql://crossfade@127.0.0.1:$legacy_port/app" }
	modern: { dsn: "postgresql://crossfade@127.0.0.1:$modern_port/app" }
	kafka:
	  brokers: "127.0.0.1:$kafka_port"
	  properties: { compression.type: lz4 }
	stream:
	  name: app
	  tables: ["public.*"]
	  both_ways: true
	proxy:
	  listen: "127.0.0.1:$proxy_port"
	  admin: "127.0.0.1:$proxy_admin"
	  auth: { mode: terminate }
	cdc: { admin: "127.0.0.1:$cdc_admin" }
	flags:
	  hybrid_mode_enabled: true
	  dual_write_strategy: legacy-primary
	  hybrid_read_strategy: legacy
	  migration_drift_tolerance: 0.0005
	  cutover_completed: false
	  cutover_guardrail_enabled: true
	groups:
	  shop: { tables: [public.customers, public.orders, public.items, public.payments] }
	tenants:
	  session: "parameter:app.tenant"
	  column: tenant_id
	  overrides:
	    acme: { flags: { migration_drift_tolerance: 0.001 } }
	YAML
}

cf() { run "$bin/crossfade" --config "$config" "$@"; }

answers() { curl -sf -m 2 "http://127.0.0.1:$1/$2"; }

start_proxy() {
    start proxy "$bin/crossfade-proxy" --config "$config"
    wait_for 20 "crossfade-proxy" answers "$proxy_admin" healthz
    wait_for 20 "the proxy to publish" state_is "$proxy_admin" crossfade_publisher_state publishing
}

start_cdc() {
    start cdc "$bin/crossfade-cdc" --config "$config"
    wait_for 20 "crossfade-cdc" answers "$cdc_admin" healthz
}

# Of the stream from legacy to modern.
state_is() { [[ $(metric "$1" "$2" "state=\"$3\",stream=\"app\"") == 1 ]]; }
applying() { state_is "$cdc_admin" crossfade_applier_state applying; }
held() { state_is "$cdc_admin" crossfade_applier_state held; }

# refused_by_fence legacy|modern: a write that goes round the proxy.
refused_by_fence() {
    local said
    said=$(on "$1" -c '\set VERBOSITY verbose' -c "UPDATE customers SET credit = credit WHERE id = 1" 2>&1) || true
    printf '%s\n' "$said" | quoted
    [[ $said == *XF005* ]]
}
known_to_legacy() { [[ $(on legacy -c "SELECT count(*) FROM crossfade.dead_letters WHERE sqlstate = 'XF006'") == 2 ]]; }

mirrors() { (($(metric "$proxy_admin" crossfade_mirror_mirrored_total) > 20)); }

caught_up() {
    applying && metric "$cdc_admin" crossfade_stream_lag_seconds | awk '{ near = $1 < 2 } END { exit !near }'
}

# reloads applied|refused: how often that was the outcome, both programs together.
reloads() {
    local total=0 port count
    for port in "$proxy_admin" "$cdc_admin"; do
        count=$(metric "$port" crossfade_config_reloads_total "result=\"$1\"")
        total=$((total + ${count:-0}))
    done
    printf '%d\n' "$total"
}
reloads_reach() { (($(reloads "$1") >= $2)); }

# edit OUTCOME OLD NEW: changes the file as an operator's editor would, and waits until both programs have read it.
edit() {
    local outcome=$1 before
    before=$(reloads "$outcome")
    sed -i "s/$2/$3/" "$config"
    { diff -U0 "$work/config.before" "$config" || true; } | sed -n '/^[-+] /p' | quoted
    cp "$config" "$work/config.before"
    wait_for 15 "both programs to read the file again" reloads_reach "$outcome" $((before + 2))
}

drift_recorded() { metric "$cdc_admin" crossfade_drift_rows "kind=\"$1\"" | awk '{ some = $1 > 0 } END { exit !some }'; }
