-- The audit log: a hash chain. The node's role may read it and call soma.audit_append, nothing else: no INSERT, UPDATE, DELETE or TRUNCATE.

create table soma.audit_entry (
    id            bigint primary key,      -- without gaps
    at            timestamptz not null,
    actor         text not null,
    actor_name    text not null,
    person        text,
    address       text,
    action        text not null,
    subject       text not null,
    team          text,
    before_digest text,
    after_digest  text,
    detail        json,
    request_id    text,
    previous      bytea not null,          -- hash of the entry before; 32 zero bytes before the first
    hash          bytea not null
);
create index audit_entry_team on soma.audit_entry (team, id);
create index audit_entry_subject on soma.audit_entry (subject, id);
create index audit_entry_actor on soma.audit_entry (actor_name, id);
create index audit_entry_action on soma.audit_entry (action text_pattern_ops, id);

-- Entries of transactions that have not committed yet: each moves into the chain as the last thing its transaction does, so that the chain's head is locked for
-- that moment only, and no transaction waits for anything while it holds the head.
create table soma.audit_pending (
    n             bigint generated always as identity primary key,
    actor         text not null,
    actor_name    text not null,
    person        text,
    address       text,
    action        text not null,
    subject       text not null,
    team          text,
    before_digest text,
    after_digest  text,
    detail        json,
    request_id    text
);

create table soma.audit_head (
    one  boolean primary key default true check (one),
    id   bigint not null,
    hash bytea not null
);
insert into soma.audit_head (id, hash) values (0, decode(repeat('00', 32), 'hex'));

grant select on soma.audit_entry, soma.audit_head to soma_app;
