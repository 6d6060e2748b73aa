# shellcheck shell=bash
# Tests, benches and fuzzing. What they find in their environment:
#   SOMA_BUILD            build folder whose somad, soma and soma-leash are under test
#   SOMA_TEST_DATABASE    superuser's connection string of a throw-away PostgreSQL server
#   SOMA_PG_BIN           PostgreSQL's programs (initdb, pg_ctl, pgbench; psql is on PATH)
#   SOMA_TOFU, SOMA_TERRAFORM   the engines; SOMA_TERRAFORM is empty where there is none
#   SOMA_PROVIDER_MIRROR  unpacked provider mirror
#   SOMA_TEST_ENGINES, SOMA_TEST_PROVIDERS, SOMA_TEST_PYTHON   the same for unit tests, and the Python with these packages
#   SOMA_EXPORTER, SOMA_PROMETHEUS   prometheus-postgres-exporter and prometheus
#   TMPDIR                a folder that goes at the end, with every process that still names it
# and on PATH the programs of tests/requirements.txt.

test_kinds=(unit fuzz integration e2e)

verb_test() {
    local kind
    for kind in "$@"; do
        [[ " ${test_kinds[*]} " == *" $kind "* ]] || die "There are no \"$kind\" tests." "Kinds: ${test_kinds[*]}."
    done
    [ $# -gt 0 ] || set -- "${test_kinds[@]}"
    with_cache_locked need_test_programs
    enter_test_room
    for kind in "$@"; do "test_$kind"; done
    tell_totals
}

# --- the room: everything that tests need, and a temporary folder that is left clean -------------------

need_test_programs() {
    need_packages build run test
    need_servers server
    need_servers test-server
    need_civetweb
    need_tofu
    need_providers
    need_python_packages
}

enter_test_room() {
    room=$(mktemp -d -t soma-test.XXXXXX)
    trap 'leave_test_room; tell_unexpected_end $? $LINENO' EXIT
    trap 'told=yes; exit 130' INT TERM
    totals=$room/totals
    : >"$totals"
    export TMPDIR=$room
    export SOMA_PG_BIN SOMA_TOFU SOMA_TERRAFORM SOMA_PROVIDER_MIRROR SOMA_EXPORTER SOMA_PROMETHEUS
    export SOMA_TEST_ENGINES SOMA_TEST_PROVIDERS SOMA_TEST_PYTHON
    SOMA_PG_BIN=$(postgres_bin)
    SOMA_TOFU=$(tofu_program)
    SOMA_TERRAFORM=$(terraform_program || true)
    SOMA_PROVIDER_MIRROR=$(provider_mirror)
    SOMA_TEST_ENGINES=$SOMA_TERRAFORM:$SOMA_TOFU
    SOMA_TEST_PROVIDERS=$SOMA_PROVIDER_MIRROR
    SOMA_TEST_PYTHON=$venv/bin/python
    SOMA_EXPORTER=$(server_program prometheus-postgres-exporter)
    SOMA_PROMETHEUS=$(server_program prometheus)
    export PATH=$venv/bin:$PATH:$SOMA_PG_BIN
}

leave_test_room() {
    local status=$?
    cd "$checkout"
    # The servers first, politely; then whoever is left.
    if [ -s "$room/postgres/postmaster.pid" ]; then
        as_postgres "$(postgres_bin)/pg_ctl" --pgdata="$room/postgres" --mode=immediate --wait stop >/dev/null 2>&1 || true
    fi
    processes_naming "$room" | end_processes
    rm -rf "$room"
    return $status
}

need_python_packages() {
    local wanted=$checkout/tests/requirements.txt
    if [ ! -e "$wanted" ]; then
        venv=$cache/venv/none
        return
    fi
    venv=$cache/venv/$( (python3 -V && cat "$wanted") | hash_of)
    [ -e "$venv/.complete" ] || step "Installing the Python packages of tests/requirements.txt" python make_venv "$venv" "$wanted"
}

make_venv() { # FOLDER REQUIREMENTS
    rm -rf "$1"
    python3 -m venv "$1"
    "$1/bin/pip" install --disable-pip-version-check -r "$2"
    touch "$1/.complete"
}

# The server that SOMA_TEST_DATABASE names; nobody misses its data, so it does not wait for the disk.
need_test_database() {
    [ -z "${SOMA_TEST_DATABASE:-}" ] || return 0
    local port
    port=$(pick_port)
    random_secret >"$room/password"
    step "Starting a PostgreSQL server for the tests" test-postgres start_test_server "$port"
    export SOMA_TEST_DATABASE
    SOMA_TEST_DATABASE="host=127.0.0.1 port=$port user=soma_admin dbname=postgres password=$(<"$room/password")"
}

start_test_server() { # PORT
    make_cluster "$room/postgres" "$1" "$room/password" "host all all 127.0.0.1/32 scram-sha-256"
    printf '%s\n' 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' >>"$room/postgres/postgresql.conf"
    run_cluster "$room/postgres" "$room/postgres.log"
}

# --- stages: each runs to its end whatever happened before, and adds a line to the totals ---------------

stage() { # WORDS FUNCTION [ARGUMENTS]
    local before after status
    say
    say "== $1"
    before=$(wc -l <"$totals")
    set +e
    (
        set -e
        trap - EXIT
        "${@:2}"
    )
    status=$?
    set -e
    after=$(wc -l <"$totals")
    if [ "$after" = "$before" ]; then # it never came to counting
        if [ $status -eq 0 ]; then count 1 0 0; else count 0 1 0; fi
    fi
    if [ $status -eq 130 ]; then exit 130; fi
}

count() { # PASSED FAILED SKIPPED
    say "$1 $2 $3" >>"$totals"
    say "   $(in_words "$1" "$2" "$3")"
}

in_words() { # PASSED FAILED SKIPPED
    if [ "$3" -gt 0 ]; then say "$1 passed, $2 failed, $3 skipped"; else say "$1 passed, $2 failed"; fi
}

# The last line. Nothing run is nothing proven.
tell_totals() {
    local passed failed skipped
    read -r passed failed skipped < <(awk '{ p += $1; f += $2; s += $3 } END { print p + 0, f + 0, s + 0 }' "$totals")
    say
    in_words "$passed" "$failed" "$skipped"
    told=yes
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

test_unit() {
    need_test_database
    stage "clang, warnings are errors" with_cache_locked build clang -DCMAKE_C_COMPILER=clang -DSOMA_WERROR=ON
    stage "unit tests under ASan and UBSan" run_units asan address
    stage "threaded unit tests under TSan" run_units tsan thread
}

run_units() { # BUILD SANITIZER
    local only=() result
    with_cache_locked build "$1" -DSOMA_SANITIZE="$2"
    [ "$2" != thread ] || only=(--label threads)
    SOMA_BUILD=$checkout/build/$1 UBSAN_OPTIONS=print_stacktrace=1 python3 "$checkout/tools/dev/run_units.py" "$checkout/build/$1" --logs "$(log_folder)/units-$1" \
        --jobs "$(jobs_allowed)" --result "$room/result" ${only[@]+"${only[@]}"} || true
    read -r -a result <"$room/result"
    rm "$room/result"
    count "${result[@]}"
    [ "${result[1]}" = 0 ]
}

test_integration() {
    need_test_database
    stage "integration tests under ASan and UBSan" run_pytest integration asan -DSOMA_SANITIZE=address
}

test_e2e() {
    stage "end-to-end tests" run_pytest e2e release
}

run_pytest() { # FOLDER BUILD [CMAKE OPTIONS]
    local report=$room/$1.xml status=0
    if [ -z "$(find "$checkout/tests/$1" -name 'test_*.py' 2>/dev/null | head -1)" ]; then
        say "   there are none yet: tests/$1"
        say "0 0 0" >>"$totals"
        return
    fi
    with_cache_locked build "${@:2}"
    cd "$checkout/tests" || return
    export SOMA_BUILD=$checkout/build/$2
    "$venv/bin/python" -B -m pytest -q --tb=short --reruns 1 --rerun-except "a sanitizer spoke" -p no:cacheprovider --rootdir=. --confcutdir=. --junitxml="$report" "$1" </dev/null || status=$?
    read_report "$report" $status
}

# pytest's own report counts; a run that broke off counts as a failure even if no test did.
read_report() { # FILE STATUS
    local counts passed failed skipped
    counts=$(python3 - "$1" <<'EOF' || true
import sys, xml.etree.ElementTree as tree
total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
for suite in tree.parse(sys.argv[1]).getroot().iter("testsuite"):
    for key in total:
        total[key] += int(suite.get(key, 0))
bad = total["failures"] + total["errors"]
print(max(total["tests"] - bad - total["skipped"], 0), bad, total["skipped"])
EOF
    )
    read -r passed failed skipped <<<"${counts:-0 0 0}"
    if [ "$2" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
    count "$passed" "$failed" "$skipped"
    [ "$failed" = 0 ]
}

# --- fuzzing ----------------------------------------------------------------------------------------

build_fuzzers() { with_cache_locked build fuzz -DCMAKE_C_COMPILER=clang -DSOMA_FUZZ=ON; }
fuzzers() { find "$checkout/build/fuzz" -maxdepth 1 -name 'fuzz_*' -type f -perm -u+x -printf '%f\n' | sed 's/^fuzz_//' | sort; }

test_fuzz() {
    local name
    stage "the fuzz targets build" build_fuzzers
    for name in $(fuzzers); do stage "fuzzing $name for 10 s" fuzz_one "$name" 10; done
}

# New inputs go to the cache, findings beside them: the committed corpus is only read.
fuzz_one() { # NAME SECONDS
    local found=$cache/fuzz/$1 corpus=$checkout/tests/fuzz/corpus/$1 dictionary=$checkout/tests/fuzz/$1.dict options=()
    mkdir -p "$found/corpus" "$found/findings"
    [ ! -e "$dictionary" ] || options+=(-dict="$dictionary")
    options+=("$found/corpus")
    [ ! -d "$corpus" ] || options+=("$corpus")
    if ! "$checkout/build/fuzz/fuzz_$1" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$found/findings/" "${options[@]}" >"$found/log" 2>&1 </dev/null; then
        show_tail "$found/log" 40
        say "   a finding: $found/findings"
        return 1
    fi
    sed -n 's/^stat::number_of_executed_units: */   executed: /p' "$found/log"
}

need_fuzz_programs() {
    need_packages build test
    need_civetweb
}

verb_fuzz() { # [NAME] [MINUTES]
    local name=${1:-} minutes=${2:-10} names status=0
    if [[ $name =~ ^[0-9]+$ ]]; then minutes=$name name=; fi
    [[ $minutes =~ ^[0-9]+$ ]] || die "MINUTES wants a number, not \"$minutes\"."
    with_cache_locked need_fuzz_programs
    build_fuzzers
    names=$(fuzzers)
    [ -n "$names" ] || die "There are no fuzz targets yet."
    if [ -n "$name" ]; then
        grep -qx -- "$name" <<<"$names" || die "There is no fuzz target \"$name\"." "There are: $(tr '\n' ' ' <<<"$names")"
        names=$name
    fi
    for name in $names; do
        say "Fuzzing $name for $minutes min ..."
        fuzz_one "$name" $((minutes * 60)) || status=1
    done
    told=yes
    return $status
}

# --- benches ----------------------------------------------------------------------------------------

verb_bench() { # [NAME]
    local folder=$checkout/tests/bench names name status=0
    names=$(find "$folder" -maxdepth 1 -type f -perm -u+x -printf '%f\n' 2>/dev/null | sort) || true
    [ -n "$names" ] || die "There are no benches yet: tests/bench."
    if [ $# -gt 0 ]; then
        grep -qx -- "$1" <<<"$names" || die "There is no bench \"$1\"." "There are: $(tr '\n' ' ' <<<"$names")"
        names=$1
    fi
    with_cache_locked need_test_programs
    enter_test_room
    with_cache_locked build release
    export SOMA_BUILD=$release
    for name in $names; do
        say "== $name"
        (cd "$folder" && "./$name") </dev/null || status=1
    done
    told=yes
    return $status
}
