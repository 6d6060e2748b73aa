-- Nodes, leadership, the event log.

create table node (
    id         text primary key,
    name       text not null,
    first_seen timestamptz not null default clock_timestamp()
);

-- A node has one process a role; each start of it is an incarnation of its own.
create table node_process (
    node_id     text not null references node on delete cascade,
    role        text not null,
    incarnation uuid not null,
    version     text not null,
    started_at  timestamptz not null default clock_timestamp(),
    seen_at     timestamptz not null default clock_timestamp(),
    primary key (node_id, role)
) with (fillfactor = 50); -- a heartbeat every few seconds: room for the new row version in the same page

-- One row a topic: who leads, in which term, until when by this database's clock. A session advisory lock would not do: it outlives a
-- leader that hangs, and dies with a connection while the leader still writes.
create table leader (
    topic       text primary key,
    node_id     text not null,
    incarnation uuid not null,
    term        bigint not null,
    lease_until timestamptz not null
) with (fillfactor = 50);

-- The event log. Order and cursor are (xid, id): the transaction that wrote, then the order within it. A reader stays below the oldest
-- transaction still running (pg_snapshot_xmin), because what commits later may carry a smaller id: a cursor by id alone loses it.
create table event (
    xid    xid8 not null default pg_current_xact_id(),
    id     bigint generated always as identity,
    at     timestamptz not null default clock_timestamp(),
    entity text not null,
    team   text not null,   -- '': all who are signed in
    type   text not null,
    data   json not null,
    primary key (xid, id)
) with (autovacuum_vacuum_insert_scale_factor = 0.02);
create index event_entity on event (entity, xid, id);

-- Where the retained log begins: the last event that retention took away. A cursor below it has lost something.
create table event_horizon (
    only_row boolean primary key default true check (only_row),
    xid      xid8 not null,
    id       bigint not null
);
insert into event_horizon values (true, '0', 0);

grant select, insert, update, delete on node, node_process, leader, event to soma_app;
grant select, update on event_horizon to soma_app;
