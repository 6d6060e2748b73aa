-- The queue. Three tables, never one: with one table every claim updates the row that every enqueue, retry and look touches, and many
-- claimers deadlock; with three a claim deletes from one and inserts into another, and waits for nobody.
--
--   job        what is to be done, from enqueue until it is done (then the row goes) or a dead letter
--   job_ready  it waits for a worker
--   job_lease  a worker has it
--   neither, and no dead_at: impossible between transactions
--
-- There are no foreign keys between them: their checks would lock the job's row in every claim, which is what the three tables avoid. All
-- writing goes through the functions in migrations/repeat/jobs.sql, which keep the three in step.

create sequence job_fence as bigint; -- one for all jobs: it grows with every claim of a job, and across the jobs of one service

create table job (
    id          uuid primary key,
    kind        text not null,
    subject     text not null,
    team        text not null default '',
    environment text not null default '',
    label       text not null default '',   -- '': any worker
    priority    int  not null default 0,    -- higher first
    args        json not null default '{}',
    attempts    int  not null default 0,    -- tries that asked for another one
    crashes     int  not null default 0,    -- workers that died under it
    last_error  text,
    rerun_at    timestamptz,                -- enqueued again while it ran: once more, then
    created_at  timestamptz not null default clock_timestamp(),
    dead_at     timestamptz,
    dead_reason text,
    check ((dead_at is null) = (dead_reason is null))
) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
-- At most one job of a kind and subject is queued or running. Dead letters do not count.
create unique index job_one on job (kind, subject) where dead_at is null;
create index job_dead on job (dead_at, id) where dead_at is not null;

create table job_ready (
    job_id      uuid primary key,
    kind        text not null,
    team        text not null,
    environment text not null,
    label       text not null,
    priority    int  not null,
    run_after   timestamptz not null,
    due         boolean not null             -- run_after has passed: moved by the claim, so that it never reads what must wait
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
-- A lane is (team, environment, label). A claim visits each lane's head: one team's long queue is never read past to find another's job, and
-- a lane whose environment is full, or whose label is another worker's, costs one look.
create index job_ready_lane on job_ready (team, environment, label, priority desc, run_after, job_id) where due;
create index job_ready_wait on job_ready (run_after) where not due;

create table job_lease (
    job_id      uuid primary key,
    token       uuid not null,               -- random: who completes must show it
    fence       bigint not null,
    node_id     text not null,
    incarnation uuid not null,               -- of the worker process
    environment text not null,
    claimed_at  timestamptz not null,
    lease_until timestamptz not null         -- by this database's clock, nobody else's
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index job_lease_environment on job_lease (environment) where environment <> '';

-- A process tree outside hangs on this job. While such a row is there nobody takes the job over, however old the lease. A table of its own,
-- not columns of the lease: the heartbeat of a whole node must not wait for one job's open transaction.
create table job_leash (
    node_id  text not null,
    run      text not null,
    job_id   uuid not null,
    begun_at timestamptz not null default clock_timestamp(),
    primary key (node_id, run)
);
create index job_leash_job on job_leash (job_id);

-- Round robin between teams: the fence of the last job that each was given. Approximate: a claim never waits for this row.
create table job_team (
    team   text primary key,
    served bigint not null
) with (fillfactor = 50);

create table job_limit (
    environment text primary key,
    max_running int not null check (max_running > 0)
);

create table job_schedule (
    kind     text primary key,
    every_ms bigint not null check (every_ms > 0),
    next_at  timestamptz not null
) with (fillfactor = 50);

grant select, insert, update, delete on job, job_ready, job_lease, job_leash, job_team, job_limit, job_schedule to soma_app;
grant usage on sequence job_fence to soma_app;
