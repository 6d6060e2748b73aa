-- People, programs, teams, roles, sessions, tokens; keys of repeated writes. The node's role gets what it needs row by row: accounts are never deleted, because the audit log speaks of them.

create table soma.team (
    name        text primary key check (name ~ '^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$'),
    title       text,
    cost_centre text,
    created_at  timestamptz not null default now()
);

create table soma.account (
    id          uuid primary key,
    kind        text not null check (kind in ('person', 'service_account')),
    name        text not null unique check (name ~ '^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$'),
    title       text,
    email       text,
    password    text,                              -- PHC string; null: cannot sign in with one
    owner       uuid references soma.account (id), -- of a service account: the person behind it
    team        text references soma.team (name),
    disabled_at timestamptz,
    created_at  timestamptz not null default now(),
    check ((kind = 'service_account') = (owner is not null)),
    check ((kind = 'service_account') = (team is not null)),
    check (kind = 'person' or password is null)
);
create index account_owner on soma.account (owner) where owner is not null;

create table soma.role_binding (
    id         uuid primary key,
    account    uuid not null references soma.account (id),
    role       text not null check (role in ('viewer', 'developer', 'approver', 'platform-admin')),
    team       text references soma.team (name),   -- null: everywhere
    created_at timestamptz not null default now(),
    check (role <> 'platform-admin' or team is null),
    unique nulls not distinct (account, role, team)
);
create index role_binding_team on soma.role_binding (team);

create table soma.session (
    id         uuid primary key,
    hash       bytea not null unique,              -- SHA-256 of the cookie's value
    account    uuid not null references soma.account (id),
    created_at timestamptz not null default now(),
    seen_at    timestamptz not null default now(), -- to the minute
    expires_at timestamptz not null,
    address    text
);
create index session_account on soma.session (account);
create index session_expires on soma.session (expires_at);

create table soma.api_token (
    id           uuid primary key,
    hash         bytea not null unique,            -- SHA-256 of the token
    account      uuid not null references soma.account (id),
    name         text not null,
    scopes       jsonb check (jsonb_typeof(scopes) = 'array'), -- null: all that the account may
    created_at   timestamptz not null default now(),
    expires_at   timestamptz not null,
    revoked_at   timestamptz,
    last_used_at timestamptz                       -- to the minute
);
create index api_token_account on soma.api_token (account, created_at desc, id desc);

-- Identities proven elsewhere (OpenID Connect).
create table soma.account_identity (
    issuer     text not null,
    subject    text not null,
    account    uuid not null references soma.account (id),
    created_at timestamptz not null default now(),
    primary key (issuer, subject)
);

-- Attempts to sign in, one bucket for each name and each address: here, so that several nodes agree. What it loses in a crash is no loss.
create unlogged table soma.sign_in_bucket (
    key    text primary key,
    tokens double precision not null,
    at     timestamptz not null
);

-- Writes that were sent with an Idempotency-Key.
create table soma.idempotency_key (
    id          uuid primary key,                  -- new with every claim: a claim that was taken over no longer fits
    account     uuid not null references soma.account (id),
    method      text not null,
    path        text not null,
    key         text not null,
    digest      bytea not null,                    -- of the request: key id, HMAC
    state       text not null check (state in ('running', 'done')),
    status      int,
    location    text,
    etag        text,
    body        bytea,
    body_sealed bytea,                             -- instead of body where the answer holds a secret
    claimed_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    unique (account, method, path, key)
);
create index idempotency_key_expires on soma.idempotency_key (expires_at);

grant select, insert on soma.team, soma.account_identity to soma_app;
grant select, insert on soma.account, soma.api_token to soma_app;
grant update (title, email, password, disabled_at) on soma.account to soma_app;
grant update (revoked_at, last_used_at) on soma.api_token to soma_app;
grant delete on soma.api_token to soma_app;
grant select, insert, delete on soma.role_binding to soma_app;
grant select, insert, delete, update (seen_at) on soma.session to soma_app;
grant select, insert, update, delete on soma.sign_in_bucket, soma.idempotency_key to soma_app;
