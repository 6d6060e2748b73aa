# shellcheck shell=bash
# Private PostgreSQL clusters: `store` holds what Soma knows, `workloads` what people order, and tests make throw-away
# ones. Loopback only, scram-sha-256 for everybody (initdb's own default is to trust), no unix sockets: their path may not
# be longer than 107 bytes, and a data folder's path may.

# PostgreSQL refuses to run as root. In a user namespace that calls us by another id it runs, and its files stay ours.
# It looks its user's name up, so the id has to exist: 1 is daemon on every Debian.
as_postgres() {
    if [ "$(id -u)" = 0 ]; then
        unshare --user --map-user=1 --map-group=1 "$@"
    else
        "$@"
    fi
}

# make_cluster FOLDER PORT PASSWORD-FILE RULES: superuser soma_admin; RULES become pg_hba.conf.
make_cluster() {
    as_postgres "$(postgres_bin)/initdb" --pgdata="$1.new" --username=soma_admin --pwfile="$3" --auth=scram-sha-256 \
        --encoding=UTF8 --locale=C.UTF-8
    printf '%s\n' "$4" >"$1.new/pg_hba.conf"
    cat >>"$1.new/postgresql.conf" <<EOF

# --- ./dev
listen_addresses = '127.0.0.1'
port = $2
unix_socket_directories = ''
password_encryption = 'scram-sha-256'
shared_buffers = 32MB
max_connections = 100
min_wal_size = 32MB
max_wal_size = 256MB
jit = off
log_timezone = 'UTC'
timezone = 'UTC'
# A statement that fails would otherwise stand in the log, with the password of a CREATE ROLE in it.
log_min_error_statement = panic
EOF
    mv "$1.new" "$1"
}

cluster_is_up() { # PORT
    "$(postgres_bin)/pg_isready" -q -h 127.0.0.1 -p "$1" -U soma_admin -d postgres
}

# run_cluster FOLDER LOG: starts it and waits until it answers. pg_ctl detaches it.
run_cluster() {
    as_postgres "$(postgres_bin)/pg_ctl" --pgdata="$1" --log="$2" --timeout=120 --wait start 8>&- 9>&-
}

# --- the two clusters of a copy ---------------------------------------------------------------------

need_postgres() {
    local name
    for name in soma_admin soma_owner soma_app soma_provisioner soma_monitor; do make_secret "$name"; done
    need_cluster store
    need_cluster workloads
    write_pgpass
    prepare_store
    prepare_workloads
}

need_cluster() { # store | workloads
    local folder=$data/pg/$1 port
    port=$(port_of "$1")
    mkdir -p "$data/pg"
    chmod 700 "$data/pg"
    if [ ! -d "$folder" ]; then
        rm -rf "$folder.new"
        step "Making the PostgreSQL cluster \"$1\"" "make-$1" --hint "Without user namespaces (as in some containers) run ./dev as an ordinary user." \
            make_cluster "$folder" "$port" "$secrets/soma_admin" "$("hba_$1")"
    fi
    if process_of "pg-$1" >/dev/null || adopt_cluster "$1" "$folder"; then return; fi
    port_is_free "$port" || die "Port $port, which the cluster \"$1\" had, is taken by another program." "Stop that program, or ./dev reset this copy."
    forget_dead_server "$folder"
    step "Starting the PostgreSQL cluster \"$1\"" "start-$1" run_cluster "$folder" "$logs/pg-$1.log"
    adopt_cluster "$1" "$folder"
}

# A server's working folder is its cluster: that tells it from another process with its id.
adopt_cluster() { # NAME FOLDER
    local pid
    read -r pid 2>/dev/null <"$2/postmaster.pid" || return 1
    [ "$(readlink "/proc/$pid/cwd")" = "$2" ] && remember_process "pg-$1" "$pid"
}

# Soma's own roles, each to where it belongs.
hba_store() {
    cat <<'EOF'
host all  soma_admin          127.0.0.1/32 scram-sha-256
host soma soma_owner,soma_app 127.0.0.1/32 scram-sha-256
EOF
}

# Whoever orders a database gets a role of the same name, and with it gets into that database alone. PUBLIC may connect
# to every database by default, and the provider cannot take that back: the server refuses it here.
hba_workloads() {
    cat <<'EOF'
host all      soma_admin,soma_provisioner,soma_monitor 127.0.0.1/32 scram-sha-256
host sameuser all                                      127.0.0.1/32 scram-sha-256
EOF
}

write_pgpass() {
    local cluster role
    for cluster in store workloads; do
        for role in soma_admin soma_owner soma_app soma_provisioner soma_monitor; do
            say "127.0.0.1:$(port_of $cluster):*:$role:$(<"$secrets/$role")"
        done
    done | write_if_changed "$secrets/pgpass" 600 || true
}

admin_sql() { # CLUSTER DATABASE: statements from standard input, as soma_admin
    PGPASSFILE=$secrets/pgpass psql -X -q -v ON_ERROR_STOP=1 "host=127.0.0.1 port=$(port_of "$1") user=soma_admin dbname=$2"
}

store_conninfo() { # ROLE
    say "host=127.0.0.1 port=$(port_of store) dbname=soma user=$1 password=$(<"$secrets/$1")"
}

# Roles and databases are made once, which a file in the cluster's folder remembers; cut short, all of it is run again.
prepare_store() {
    [ -e "$data/pg/store/soma.prepared" ] && return
    {
        make_role soma_owner LOGIN
        make_role soma_app LOGIN
        say "select 'create database soma owner soma_owner' where not exists (select from pg_database where datname = 'soma') \\gexec"
        say "revoke all on database soma from public;"
        say "grant connect on database soma to soma_app;"
    } | admin_sql store postgres
    touch "$data/pg/store/soma.prepared"
}

# soma_provisioner is the environment's credential: it makes databases and roles and is no superuser (the provider's
# `superuser = false`). pg_signal_backend lets it end the sessions of a database that is to be dropped.
prepare_workloads() {
    [ -e "$data/pg/workloads/soma.prepared" ] && return
    {
        make_role soma_provisioner "LOGIN CREATEDB CREATEROLE"
        make_role soma_monitor LOGIN
        say "grant pg_signal_backend to soma_provisioner;"
        say "grant pg_monitor to soma_monitor;"
        say "revoke connect on database postgres, template1 from public;"
        say "grant connect on database postgres to soma_provisioner, soma_monitor;"
    } | admin_sql workloads postgres
    touch "$data/pg/workloads/soma.prepared"
}

make_role() { # NAME ATTRIBUTES
    say "do \$\$ begin if not exists (select from pg_roles where rolname = '$1') then create role $1; end if; end \$\$;"
    say "alter role $1 $2 password '$(<"$secrets/$1")';"
}

# A server that was killed leaves postmaster.pid, and its children some moments. The next one trusts the file as long as that
# id is in use, if only by a dead process that nobody has buried.
forget_dead_server() { # FOLDER
    local end=$((SECONDS + 10))
    [ -e "$1/postmaster.pid" ] || return 0
    while [ -n "$(processes_naming "$1")" ]; do
        [ $SECONDS -lt $end ] || return 0 # alive: let the start say what is wrong
        sleep 0.1
    done
    rm -f "$1/postmaster.pid"
}

stop_cluster() { # store | workloads: SIGINT is PostgreSQL's fast shutdown
    stop_process "pg-$1" INT 60
}
