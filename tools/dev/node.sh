# shellcheck shell=bash
# The node of one copy: its configuration and first administrator, starting and stopping, and the verbs around it.

release=$checkout/build/release
sign_in_shown=no

verb_up() {
    [ $# -eq 0 ] || die "up takes options only; ./dev --help lists them."
    make_data_folder
    lock_data
    with_cache_locked need_programs
    settle_ports
    need_postgres
    need_exporter
    need_node
    need_content
    tell_how_to_go_on
}

need_programs() {
    need_packages build run
    need_servers server
    need_civetweb
    build release
    need_engine
    need_providers
}

need_node() {
    local fresh=no
    make_secret admin-password
    prepare_node
    restart_if_outdated
    if ! process_of somad >/dev/null; then
        await_end_of_node 60 # of one that was killed: its workers end by themselves
        start_node
        fresh=yes
    fi
    wait_until_ready
    [ $fresh = no ] || remember_what_runs
}

# Schema, key ring, configuration and administrator. The node itself may not own the schema, so the migration has a connection
# of its own; it comes by environment, where no list of processes shows its password.
prepare_node() {
    write_configuration
    if [ "$(cat "$run/migrated" 2>/dev/null)" != "$(binary_hash)" ]; then
        step "Bringing the database to this version" migrate migrate_store
        binary_hash >"$run/migrated"
    fi
    [ -s "$secrets/keyring" ] || step "Making the key ring" keyring "$release/somad" keys init --key-file "$secrets/keyring"
    if [ ! -s "$secrets/admin-token" ]; then
        step "Making the first administrator" bootstrap \
            "$release/somad" bootstrap --config "$data/somad.conf" --admin admin --password-file "$secrets/admin-password" --token-file "$secrets/admin-token"
        [ -s "$secrets/admin-token" ] || die "There is an administrator already, but $secrets/admin-token is gone." \
            "Sign in with $release/soma login, make a token (soma tokens create) and put it there."
        sign_in_shown=yes
    fi
}

migrate_store() {
    SOMA_MIGRATE_DATABASE=$(store_conninfo soma_owner) "$release/somad" migrate
}

write_configuration() {
    write_if_changed "$data/somad.conf" 600 <<EOF || true
# Written by ./dev up. \`somad --help\` explains every key.
listen = 127.0.0.1:$(port_of http)
metrics_listen = 127.0.0.1:$(port_of metrics)
public_url = http://127.0.0.1:$(port_of http)
database = $(store_conninfo soma_app)
data_dir = $data/node
key_file = $secrets/keyring
engine = $(engine_program)
provider_mirror = $(provider_mirror)
EOF
}

binary_hash() { cat "$release/somad" "$release/soma-leash" | hash_of; }

# What the running node was started from: a new build or another configuration asks for a new start.
what_would_run() { cat "$release/somad" "$release/soma-leash" "$data/somad.conf" | hash_of; }
remember_what_runs() { what_would_run >"$run/somad.from"; }

restart_if_outdated() {
    process_of somad >/dev/null || return 0
    [ "$(cat "$run/somad.from" 2>/dev/null)" != "$(what_would_run)" ] || return 0
    say "The node is older than its program or configuration: it is started anew."
    stop_node
}

start_node() {
    local port
    for port in http metrics; do
        port=$(port_of $port)
        port_is_free "$port" || die "Port $port is taken by another program." "Choose another: $me up --port N"
    done
    start_process somad "$release/somad" --config "$data/somad.conf"
}

# Sixty seconds for the node to answer; its death or its silence is told with the end of its log.
wait_until_ready() {
    local end=$((SECONDS + 60)) url
    url=http://127.0.0.1:$(port_of http)/ready
    until curl -fsS --noproxy '*' -m 5 -o /dev/null "$url" 2>/dev/null; do
        if ! process_of somad >/dev/null; then
            show_tail "$logs/somad.log"
            die "The node has ended." "Its log: $logs/somad.log"
        elif [ $SECONDS -ge $end ]; then
            show_tail "$logs/somad.log"
            die "The node runs, but $url has not said \"ready\" for 60 s: $(curl -s --noproxy '*' -m 5 "$url" || true)" "Its log: $logs/somad.log"
        fi
        sleep 0.1
    done
}

stop_node() {
    stop_process somad TERM 90
    await_end_of_node 20
}

# Everything below the node (workers, engines, providers, leashes) ends with it. What outlasts it is waited for, then
# ended by its id.
await_end_of_node() { # SECONDS
    local end=$((SECONDS + $1))
    while [ -n "$(node_processes)" ] && [ $SECONDS -lt $end ]; do sleep 0.1; done
    node_processes | end_processes
}

node_processes() {
    processes_naming "$data" | grep -E ' (somad|soma-leash|bwrap|tofu|terraform|terraform-provi.*)$' || true
}

# --- the exporter of the workloads server -----------------------------------------------------------

# One for the server: database sizes and statistics carry the database's name as a label. It looks into `postgres` only;
# with --auto-discover-databases it would sit in every ordered database, and one in use cannot be dropped.
need_exporter() {
    process_of exporter >/dev/null && return
    local port
    port=$(port_of exporter)
    port_is_free "$port" || die "Port $port, which the exporter had, is taken by another program." "Stop that program, or ./dev reset this copy."
    DATA_SOURCE_URI="127.0.0.1:$(port_of workloads)/postgres?sslmode=disable" \
        DATA_SOURCE_USER=soma_monitor DATA_SOURCE_PASS_FILE=$secrets/soma_monitor \
        start_process exporter "$(server_program prometheus-postgres-exporter)" \
        --web.listen-address="127.0.0.1:$port" --disable-settings-metrics
}

# --- verbs ------------------------------------------------------------------------------------------

verb_down() {
    [ -e "$data/.soma" ] || { say "There is no copy in $data." && return; }
    lock_data
    stop_node
    stop_process exporter TERM 10
    stop_cluster workloads
    stop_cluster store
    local left
    left=$(processes_naming "$data" | sed 's/ [0-9]* / /')
    [ -z "$left" ] || warn "These processes still use $data; ./dev did not start them: $left"
    say "Soma is stopped. Its data stay in $data."
}

verb_reset() {
    [ -e "$data/.soma" ] || { say "There is no copy in $data." && return; }
    if [ "$opt_yes" = no ]; then
        [ -t 0 ] || die "reset removes $data with all that was ordered." "Say --yes when no terminal can be asked."
        local answer
        read -r -p "Remove $data with all that was ordered? [y/N] " answer
        [ "$answer" = y ] || [ "$answer" = yes ] || die "Nothing was removed."
    fi
    verb_down
    rm -rf "$data"
    say "Removed $data."
}

verb_status() {
    [ -e "$data/.soma" ] || { say "There is no copy in $data: $me up makes one." && told=yes && return 3; }
    local name pid state dead=0
    printf '%-14s %-9s %-8s %s\n' PART STATE PROCESS ADDRESS
    for name in pg-store pg-workloads exporter somad; do
        if pid=$(process_of $name); then state=running; else state=stopped pid=- dead=1; fi
        printf '%-14s %-9s %-8s %s\n' $name $state "$pid" "$(address_of $name)"
    done
    say "data: $data"
    told=yes
    return $((dead * 3))
}

address_of() {
    case $1 in
        somad) say "http://127.0.0.1:$(port_of http), metrics on $(port_of metrics)" ;;
        *) say "127.0.0.1:$(port_of "${1#pg-}")" ;;
    esac
}

verb_logs() {
    [ -d "$logs" ] || die "There are no logs in $data."
    if [ $# -eq 0 ] && [ "$opt_follow" = no ]; then
        find "$logs" -name '*.log' -printf '%f\n' | sed 's/\.log$//' | sort
        return
    fi
    local file=$logs/${1:-somad}.log
    [ -e "$file" ] || die "There is no log \"${1:-somad}\"." "$me logs lists them."
    if [ "$opt_follow" = yes ]; then exec tail -n 50 -f "$file"; else cat "$file"; fi
}

# The command line as the first administrator of this copy. The token stays in its file.
soma() {
    SOMA_URL=http://127.0.0.1:$(port_of http) SOMA_TOKEN_FILE=$secrets/admin-token "$release/soma" "$@"
}

verb_soma() {
    [ -s "$secrets/admin-token" ] || die "No copy of Soma has been started in $data." "$me up does it."
    [ -x "$release/soma" ] || die "build/release/soma is missing." "./dev build makes it."
    SOMA_URL=http://127.0.0.1:$(port_of http) SOMA_TOKEN_FILE=$secrets/admin-token exec "$release/soma" "$@"
}
