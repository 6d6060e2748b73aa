-- Messages to people outside, Slack users that are people here, and links that were mailed.

create table notify_delivery (
    id         uuid primary key,
    kind       text not null,
    channel    text not null check (channel in ('mail', 'slack', 'slack-response')),
    address    text not null default '',               -- of mail, or a Slack user or channel; '': the configured place
    person     uuid references account,
    about      text not null default '',
    data       jsonb not null default '{}',
    sealed     bytea,                                  -- (notify_delivery, id, 0): where a Slack response goes; null once it ended
    state      text not null default 'queued' check (state in ('queued', 'sent', 'dropped', 'failed')),
    attempts   int not null default 0,
    error      text not null default '',
    created_at timestamptz not null default now(),
    ended_at   timestamptz
);
create index notify_delivery_about on notify_delivery (about);

-- Two at once in the installation: a mail server that hangs takes no worker from orders.
insert into job_limit (environment, max_running) values ('.notify', 2) on conflict (environment) do nothing;

create table slack_user (
    person     uuid primary key references account,
    user_id    text not null,
    team_id    text not null default '',               -- workspace; '': any
    linked_by  text not null,
    created_at timestamptz not null default now(),
    unique (user_id, team_id)
);

create table slack_code (
    hash       bytea primary key,                      -- SHA-256 of the code
    team_id    text not null,
    user_id    text not null,
    expires_at timestamptz not null,
    used_at    timestamptz
);

-- Signatures seen within the last minutes: each is good once.
create table slack_request (
    digest bytea primary key,
    at     timestamptz not null default now()
);
create index slack_request_at on slack_request (at);

-- Links in mails: for one person and one round, used once.
create table approval_link (
    hash       bytea primary key,                      -- SHA-256 of the token
    approval   uuid not null references approval on delete cascade,
    person     uuid not null references account,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index approval_link_approval on approval_link (approval);

grant select, insert, update, delete on notify_delivery, slack_user to soma_app;
grant select, insert, delete on slack_code, slack_request to soma_app;
grant update (used_at) on slack_code to soma_app;
grant select, insert, delete on approval_link to soma_app;
grant update (used_at) on approval_link to soma_app;
