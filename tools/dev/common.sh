# shellcheck shell=bash
# What every part uses: words on the screen, the places of one copy, ports, and processes known by id.

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }

# die SENTENCE [WHAT TO DO]
die() {
    told=yes
    printf './dev: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '       %s\n' "${@:2}" >&2
    exit 1
}

# No end without words: where a command failed that nobody expected to.
told=no
tell_unexpected_end() { # STATUS LINE
    [ "$1" = 0 ] || [ $told = yes ] || warn "./dev: stopped by an error at ${BASH_SOURCE[1]##*/}:$2 (status $1)."
}

# --- places -----------------------------------------------------------------------------------------

# All of one copy: its data folder and, below it, logs, process ids, secrets and ports.
settle_places() {
    data=$(realpath -m -- "${opt_data:-$checkout/.data}")
    case $data in / | "$HOME" | "$checkout") die "$data cannot be a data folder." ;; esac
    # How this copy is called in what we print: somebody may copy it.
    me=./dev
    [ "$data" = "$checkout/.data" ] || me="./dev --data $(printf %q "$data")"
    logs=$data/logs run=$data/run secrets=$data/secrets
    [[ ${opt_port:-1} =~ ^[0-9]+$ ]] || die "--port wants a number, not \"$opt_port\"."
}

make_data_folder() {
    if [ -d "$data" ] && [ ! -e "$data/.soma" ] && [ -n "$(ls -A "$data")" ]; then
        die "$data holds something else." "Give --data a new or empty folder."
    fi
    mkdir -p "$data" || die "The data folder $data cannot be made."
    chmod 700 "$data"
    touch "$data/.soma" # the mark by which reset knows that the folder is ours
    mkdir -p "$logs" "$run" "$secrets"
    chmod 700 "$secrets"
}

# Long work of verbs that need no running copy (build, test) is logged in the cache instead.
log_folder() {
    if [ -d "$logs" ]; then say "$logs"; else mkdir -p "$cache/logs" && say "$cache/logs"; fi
}

# One at a time: two `up` of one copy, or two builds in one checkout, wait for each other.
# The descriptor is closed for everything that is started to stay (see start_process).
lock() { # FILE DESCRIPTOR WHAT
    mkdir -p "$(dirname "$1")"
    eval "exec $2>>\"\$1\""
    flock -n "$2" && return
    say "Waiting for another ./dev that $3 ..."
    flock "$2"
}
lock_data() { lock "$run/lock" 8 "works on $data"; }
with_cache_locked() { # COMMAND...
    lock "$cache/lock" 9 "builds in $checkout"
    "$@"
    exec 9>&-
}

# --- steps ------------------------------------------------------------------------------------------

# step WORDS LOG [--hint WHAT TO DO] COMMAND...: one line on the screen with the time it took, all output in
# the log; a failure shows the log's end and ends the script. Never call it in a condition: bash
# would then ignore errors inside COMMAND.
step() {
    local words=$1 log hint='' started=$SECONDS status
    log=$(log_folder)/$2.log
    shift 2
    if [ "$1" = --hint ]; then hint=$2 && shift 2; fi
    printf '%s ... ' "$words"
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    status=$?
    set -e
    if [ $status -eq 0 ]; then
        printf '%s s\n' $((SECONDS - started))
        return
    fi
    printf 'failed after %s s\n' $((SECONDS - started))
    show_tail "$log"
    die "This step failed: $words." "The whole output: $log" ${hint:+"$hint"}
}

show_tail() { # LOG [LINES]
    [ -s "$1" ] || return 0
    warn "--- the end of $1"
    tail -n "${2:-25}" "$1" >&2
    warn "---"
}

# --- small things -----------------------------------------------------------------------------------

hash_of() { sha256sum | cut -c1-16; }
random_secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
jobs_allowed() { say "${opt_jobs:-$(nproc)}"; }

# write_if_changed FILE MODE: standard input becomes the file; true when that changed it.
write_if_changed() {
    local new
    new=$(mktemp "$1.XXXXXX")
    chmod "$2" "$new"
    cat >"$new"
    if cmp -s "$new" "$1"; then
        rm "$new"
        return 1
    fi
    mv "$new" "$1"
}

make_secret() { # NAME: a random password in a file of its own, made once
    [ -s "$secrets/$1" ] || random_secret | write_if_changed "$secrets/$1" 600
}

# --- ports ------------------------------------------------------------------------------------------

# Free ports are picked once and remembered, below the range from which the kernel takes ports for outgoing
# connections, so that a stopped copy finds its ports free again.
port_of() { [ ! -e "$data/ports" ] || sed -n "s/^$1=//p" "$data/ports"; }

port_is_free() {
    python3 - "$1" <<'EOF'
import socket, sys
with socket.socket() as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        s.bind(("127.0.0.1", int(sys.argv[1])))
    except OSError:
        sys.exit(1)
EOF
}

pick_port() {
    local port _
    for _ in $(seq 50); do
        port=$((15000 + (RANDOM * 32768 + RANDOM) % 17000))
        grep -qs "=$port\$" "$data/ports" && continue
        port_is_free "$port" && say "$port" && return
    done
    die "No free port was found between 15000 and 32000."
}

settle_ports() {
    local name port http
    http=${opt_port:-$(port_of http)}
    {
        say "http=${http:-8080}"
        for name in metrics store workloads exporter; do
            port=$(port_of "$name")
            say "$name=${port:-$(pick_port)}"
        done
    } | write_if_changed "$data/ports" 600 || true
}

# --- processes --------------------------------------------------------------------------------------

# A process is known by its id *and* its start time (field 22 of /proc/PID/stat), so that an id which the
# kernel has given to somebody else since is never taken for ours.
start_time() {
    local line fields
    { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
    read -ra fields <<<"${line##*) }"
    [ "${fields[0]}" != Z ] || return 1
    say "${fields[19]}"
}

remember_process() { # NAME PID
    local since
    since=$(start_time "$2") || return 1
    say "$2 $since" | write_if_changed "$run/$1.pid" 600 || true
}

# The id of NAME if it still runs.
process_of() {
    local pid since
    read -r pid since 2>/dev/null <"$run/$1.pid" || return 1
    [ "$(start_time "$pid")" = "$since" ] || return 1
    say "$pid"
}

# start_process NAME COMMAND...: detached in a session of its own, output to its log, id remembered.
start_process() {
    local name=$1
    shift
    setsid "$@" >>"$logs/$name.log" 2>&1 </dev/null 8>&- 9>&- &
    remember_process "$name" $! || true # gone already: the caller waits for it and tells
}

wait_until_gone() { # PID SINCE SECONDS
    local end=$((SECONDS + $3))
    while [ "$(start_time "$1")" = "$2" ]; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05
    done
}

# stop_process NAME SIGNAL SECONDS: asks, waits, and after that time ends it.
stop_process() {
    local pid since
    if pid=$(process_of "$1"); then
        since=$(start_time "$pid") || since=
        kill "-$2" "$pid" 2>/dev/null || true
        if ! wait_until_gone "$pid" "$since" "$3"; then
            warn "$1 (process $pid) did not stop within $3 s and is ended."
            kill -KILL "$pid" 2>/dev/null || true
            wait_until_gone "$pid" "$since" 10 || warn "$1 (process $pid) cannot be ended."
        fi
    fi
    rm -f "$run/$1.pid"
}

# processes_naming FOLDER: "PID SINCE NAME" of each process whose folder, program, arguments or environment names it. This script,
# its callers and their other children (a pager behind a pipe) may do so too and are left out.
processes_naming() {
    python3 - "$1" <<'EOF'
import os, re, sys

named = re.compile(re.escape(os.fsencode(sys.argv[1])) + rb"(?=[/\0\"'\n]|$)")  # not a neighbour's, as in "data two"


def read(pid, what):
    with open(f"/proc/{pid}/{what}", "rb") as f:
        return f.read()


def fields(pid):
    return read(pid, "stat").rsplit(b") ", 1)[1].split()


callers, pid = {1}, os.getpid()
while pid > 1:
    callers.add(pid)
    pid = int(fields(pid)[1])
for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
    try:
        state, parent, since = (fields(pid)[i] for i in (0, 1, 19))
        in_session = os.getsid(pid) == os.getsid(0)
        if state == b"Z" or pid in callers or (in_session and int(parent) in callers - {1}):
            continue
        seen = [os.fsencode(os.readlink(f"/proc/{pid}/{link}")) for link in ("cwd", "exe")]
        seen += [read(pid, "cmdline"), read(pid, "environ")]
        if any(map(named.search, seen)):
            print(pid, since.decode(), read(pid, "comm").decode(errors="replace").strip())
    except OSError:
        continue
EOF
}

# end_processes: ends each "PID SINCE NAME" of standard input, if it still is that process.
end_processes() {
    local pid since name
    while read -r pid since name; do
        [ "$(start_time "$pid")" = "$since" ] || continue
        warn "$name (process $pid) was left over and is ended."
        kill -KILL "$pid" 2>/dev/null || true
        wait_until_gone "$pid" "$since" 10 || warn "$name (process $pid) cannot be ended."
    done
}
