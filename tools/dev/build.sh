# shellcheck shell=bash
# CMake and Ninja: the release build that runs, and the others that only tests use.

verb_build() {
    with_cache_locked build_release
    (cd "$checkout/build/release" && ls -l somad soma soma-leash)
}

build_release() {
    need_packages build
    need_civetweb
    build release
}

# build NAME [CMAKE OPTIONS]: configures build/NAME when the options have changed (Ninja itself sees to the rest).
build() {
    local name=$1 folder=$checkout/build/$1 options
    shift
    [ -e "$checkout/CMakeLists.txt" ] || die "There is no CMakeLists.txt in $checkout."
    [ "$name" != release ] || set -- -DCMAKE_BUILD_TYPE=Release -DSOMA_TESTS=OFF
    options=$(printf '%s\n' "$@" "$cache/civetweb" | hash_of)
    if [ "$(cat "$folder/.options" 2>/dev/null)" != "$options" ] || [ ! -e "$folder/build.ninja" ]; then
        step "Configuring build/$name" "configure-$name" configure "$folder" "$@"
        say "$options" >"$folder/.options"
    fi
    step "Building build/$name" "build-$name" nice -n 5 ninja -C "$folder" -j "$(jobs_allowed)"
}

configure() { # FOLDER [CMAKE OPTIONS]
    cmake -S "$checkout" -B "$1" -G Ninja -DCIVETWEB_SOURCE="$cache/civetweb" "${@:2}"
}
