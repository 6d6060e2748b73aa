# shellcheck shell=bash
# What a first start puts into Soma: a team, an environment, the built-in golden paths, and a first real database.

need_content() {
    publish_templates
    if [ "$(cat "$run/content" 2>/dev/null)" != "$(content_hash)" ]; then
        step "Loading team, environment and golden paths" content load_content
        content_hash >"$run/content"
    fi
    if [ "$opt_demo" = yes ] && [ ! -e "$data/.demo" ]; then order_demo; fi
}

content_hash() { (cat "$data/ports" && git -C "$data/templates.git" rev-parse refs/heads/main) | hash_of; }

# Every call may be made again: what is there stays as it is, or is brought up to date.
load_content() {
    have "teams list" payments || soma teams create payments --title Payments
    environment_local
    # Registering shows the secret of the webhook, which is for no log.
    have "templates repositories" builtin || soma templates add builtin "$(file_url "$data/templates.git")" >/dev/null
    soma templates refresh builtin --wait
}

file_url() { python3 -c 'import pathlib, sys; print(pathlib.Path(sys.argv[1]).as_uri())' "$1"; }

have() { # LIST NAME
    local list
    read -ra list <<<"$1"
    [[ $(soma "${list[@]}" -o json) == *"\"$2\""* ]]
}

environment_local() {
    local verb=create
    ! have "environments list" local || verb=update
    soma environments $verb local --title "This machine" --team payments \
        --setting postgres_host=127.0.0.1 --setting "postgres_port=$(port_of workloads)" --setting "exporter=127.0.0.1:$(port_of exporter)" \
        --credential PGUSER=soma_provisioner --credential-file "PGPASSWORD=$secrets/soma_provisioner"
}

# Golden paths come from git, the built-in ones too: the folder templates/ becomes a commit of a repository in the data
# folder whenever its content differs. Nobody's own git configuration takes part.
publish_templates() {
    local git tree
    git=(env GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_DIR="$data/templates.git" GIT_WORK_TREE="$checkout/templates"
        GIT_AUTHOR_NAME=Soma GIT_AUTHOR_EMAIL=soma@localhost GIT_COMMITTER_NAME=Soma GIT_COMMITTER_EMAIL=soma@localhost git)
    [ -d "$data/templates.git" ] || env GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 git init -q --bare -b main "$data/templates.git"
    printf '.terraform/\n*.tfstate*\n' >"$data/templates.git/info/exclude"
    "${git[@]}" add -A
    tree=$("${git[@]}" write-tree)
    [ "$("${git[@]}" rev-parse -q --verify 'refs/heads/main^{tree}' || true)" != "$tree" ] || return 0
    "${git[@]}" commit -q -m "templates: publish the built-in golden paths"
}

order_demo() {
    say "Ordering a database: $me soma order hello-db --template postgres-database --environment local --team payments --set size=small --watch"
    soma order hello-db --template postgres-database --environment local --team payments --set size=small --watch ||
        die "The order of hello-db did not end well." "$me soma orders list shows why; $me up --no-demo goes on without it."
    touch "$data/.demo"
    tell_psql
}

# Without the password: `services connect` hands it over by itself, unseen.
tell_psql() {
    soma services outputs hello-db -o json | python3 -c '
import json, sys
known = {k: v.get("value") if isinstance(v, dict) else v for k, v in json.load(sys.stdin).items()}
print("psql \"host={host} port={port} dbname={database} user={username}\"".format(**known))' | sed 's/^/Open it with:   /'
    say "or, without typing its password:   $me soma services connect hello-db"
}

tell_how_to_go_on() {
    local url
    url=http://127.0.0.1:$(port_of http)
    say
    say "Soma runs:       $url"
    if [ "$sign_in_shown" = yes ] && [ -t 1 ]; then
        say "Sign in as:      admin, password $(<"$secrets/admin-password") (it stands in $secrets/admin-password)"
    else
        say "Sign in as:      admin, password in $secrets/admin-password"
    fi
    say "Things to try:   $me soma services list"
    say "                 $me soma order my-db --template postgres-database --environment local --team payments --set size=small --watch"
    say "                 $me soma destroy my-db --watch"
}
