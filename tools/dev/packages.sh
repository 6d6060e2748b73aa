# shellcheck shell=bash
# What comes from Debian: packages, servers that are only unpacked, and the source of civetweb.

packages_in() { # SECTION
    sed -n "/^\[$1\]/,/^\[/{/^[a-z]/p}" "$checkout/tools/dev/packages.txt"
}

missing_packages() { # SECTION...
    local section name
    for section in "$@"; do packages_in "$section"; done | sort -u >"$cache/wanted"
    # shellcheck disable=SC2046
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' $(<"$cache/wanted") 2>/dev/null |
        sed -n 's/^installed //p' | sort -u >"$cache/installed"
    comm -23 "$cache/wanted" "$cache/installed"
    rm -f "$cache/wanted" "$cache/installed"
}

# need_packages SECTION...: installs what is missing and nothing else.
need_packages() {
    local missing
    command -v dpkg-query >/dev/null || die "This script is made for Debian 12: there is no dpkg here."
    mkdir -p "$cache"
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    as_root true || die "These packages are missing: $missing" "Install them, or run ./dev as root or as somebody who may use sudo."
    step "Installing $(wc -w <<<"$missing") Debian packages" apt --hint "Is the network there? \"apt-get update\" tells." apt_install "$missing"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
    else
        return 1
    fi
}

apt_install() { # NAMES
    local names try
    read -ra names <<<"$1"
    for try in have-lists update-first; do
        [ $try = have-lists ] || as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update
        if as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${names[@]}"; then
            return
        fi
    done
    return 1
}

# --- servers ----------------------------------------------------------------------------------------

# PostgreSQL, its exporter and Prometheus bring services of their own: installed, they would be enabled and started,
# and PostgreSQL would make a cluster on port 5432. There is a switch for each of these, outside this checkout and
# different on every kind of machine. So they are not installed: apt fetches and verifies the packages, and they are
# unpacked into the cache, where their programs run as well. A server that is installed already is used as it is.
postgres_bin() {
    local folder
    for folder in /usr/lib/postgresql/15/bin "$cache/servers/postgresql-15/usr/lib/postgresql/15/bin"; do
        [ -x "$folder/postgres" ] && say "$folder" && return
    done
    return 1
}

server_program() { # PACKAGE: the program of the same name
    command -v "$1" || { [ -x "$cache/servers/$1/usr/bin/$1" ] && say "$cache/servers/$1/usr/bin/$1"; }
}

need_servers() { # SECTION
    local name
    for name in $(packages_in "$1"); do
        if [ "$name" = postgresql-15 ]; then postgres_bin; else server_program "$name"; fi >/dev/null && continue
        step "Unpacking $name" "server-$name" --hint "Is the network there? \"apt-get update\" tells." unpack_server "$name"
    done
}

unpack_server() { # PACKAGE
    local name=$1 folder=$cache/servers/$1
    rm -rf "$folder.new"
    mkdir -p "$folder.new"
    cd "$folder.new" || return
    apt-get -o APT::Sandbox::User=root download "$name" || { as_root apt-get update && apt-get -o APT::Sandbox::User=root download "$name"; }
    dpkg-deb -x ./*.deb .
    rm ./*.deb
    rm -rf "$folder"
    mv "$folder.new" "$folder"
}

# --- civetweb ---------------------------------------------------------------------------------------

# The source package, as Debian patches it. A fresh machine has no deb-src lines, so apt gets a private list: the
# machine's own Debian sources (with their mirrors, keys and proxies) turned from binaries to sources.
need_civetweb() {
    [ -e "$cache/civetweb/src/civetweb.c" ] && return
    step "Fetching the source of civetweb" civetweb --hint "Is the network there? \"apt-get update\" tells." fetch_civetweb
}

fetch_civetweb() {
    local work=$cache/tmp/civetweb folder
    rm -rf "$work"
    mkdir -p "$work"/{sources,lists/partial,archives/partial,source}
    debian_sources "$work/sources"
    # Given with -c, the file is read after the machine's own: hooks for its lists have no business here.
    cat >"$work/apt.conf" <<EOF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$work/sources";
Dir::State::Lists "$work/lists";
Dir::Cache "$work/archives";
APT::Sandbox::User "root";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
EOF
    apt-get -c "$work/apt.conf" update
    (cd "$work/source" && apt-get -c "$work/apt.conf" source --only-source civetweb)
    folder=$(cd "$work/source" && echo civetweb-*/)
    folder=${folder%/}
    [ -e "$work/source/$folder/src/civetweb.c" ]
    rm -rf "${cache:?}/$folder"
    mv "$work/source/$folder" "$cache/$folder"
    ln -sfn "$folder" "$cache/civetweb"
    rm -rf "$work"
}

# Both formats of sources: "deb URL ..." lines and "Types: deb" paragraphs. Only files that serve Debian itself
# count, where apt knows; other vendors rarely have sources.
debian_sources() { # FOLDER
    local file files
    # shellcheck disable=SC2016 # these are apt's own variables
    files=$(apt-get indextargets --format '$(ORIGIN) $(SOURCESENTRY)' 'Created-By: Packages' | sed -n 's/^Debian \(.*\):[0-9]*$/\1/p' | sort -u)
    [ -n "$files" ] || files=$(find /etc/apt -maxdepth 2 \( -name '*.list' -o -name '*.sources' \))
    for file in $files; do
        sed -E 's/^deb([[:space:]])/deb-src\1/; s/^Types:.*/Types: deb-src/' "$file" >"$1/$(basename "$file")"
    done
}
