-- Golden paths: repositories, what was published from them, what was wrong with them.

create table template_repository (
    name           text primary key check (name ~ '^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$'),
    url            text not null,                 -- without credentials
    ref            text not null default '',
    credentials    text not null default '' check (credentials in ('', 'password', 'token', 'ssh_key')), -- which kind is given
    sealed         bytea not null,                -- {credentials, webhook_secret}, sealed for (template_repository, name, sealed_version)
    sealed_version bigint not null default 1,
    state          text not null default 'refreshing' check (state in ('refreshing', 'ready', 'failed')),
    problem        text,                          -- of the repository as a whole; null when it could be read
    commit_id      text,                          -- last one that was read
    checked        text,                          -- "commit soma-version" that was checked to the end; null: look again
    failures       int  not null default 0,       -- in a row; each doubles the wait
    requested_at   timestamptz not null default clock_timestamp(),
    refreshed_at   timestamptz,
    next_at        timestamptz not null default clock_timestamp(),
    created_at     timestamptz not null default clock_timestamp(),
    created_by     text not null default ''
) with (fillfactor = 70);

-- Files of versions, by content: a version that comes back costs nothing.
create table template_archive (
    digest  bytea primary key check (octet_length(digest) = 32),
    content bytea not null check (octet_length(content) <= 4 * 1024 * 1024 + 65536)
);

create table template (
    name         text primary key check (name ~ '^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$'),
    repository   text references template_repository on delete set null,
    path         text not null,                   -- folder in the repository, '' is its root
    current      uuid,                            -- template_version
    withdrawn_at timestamptz                      -- it left its repository: no longer ordered, its versions stay
);
create index template_by_repository on template (repository);

create table template_version (
    id           uuid primary key,
    template     text not null references template,
    number       bigint not null,
    repository   text not null,                   -- its name then
    commit_id    text not null check (commit_id ~ '^[0-9a-f]{40}$'),
    path         text not null,
    manifest     json not null,                   -- json, not jsonb: forms ask in the order in which the author wrote
    digest       bytea not null references template_archive,
    published_at timestamptz not null default clock_timestamp(),
    unique (template, number)
);
create index template_version_by_digest on template_version (digest);
alter table template add foreign key (current) references template_version;

create table template_problem (
    repository text not null references template_repository on delete cascade,
    ordinal    int  not null,
    path       text not null,
    line       int  not null,                     -- 0: the file as a whole
    reason     text not null,
    primary key (repository, ordinal)
);

grant select, insert, update, delete on template_repository, template_problem to soma_app;
grant select, insert, update on template to soma_app;
grant select, insert on template_version, template_archive to soma_app;
