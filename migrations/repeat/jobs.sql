-- The queue's functions. Who locks what, and why nobody deadlocks:
--   enqueue, cancel   the job's row first, then job_ready (may wait there for a claim, which waits for nobody)
--   guard             job_lease FOR KEY SHARE, to the end of the caller's transaction: a heartbeat passes, a takeover does not
--   turn, reap        job_lease and job, then job_ready, all with SKIP LOCKED: they never wait for a row
--   heartbeat         job_lease; waits at most for a reap, which waits for nobody
-- Time is this database's clock_timestamp(), never a node's.

create or replace function job_enqueue(p_id uuid, p_kind text, p_subject text, p_team text, p_environment text, p_label text, p_args json,
                                       p_delay_ms bigint, p_priority int) returns uuid
language plpgsql as $$
declare
    v_id uuid;
    v_after timestamptz := clock_timestamp() + greatest(p_delay_ms, 0) * interval '1 ms';
begin
    -- Either way the job's row is locked until the caller commits: no worker can end the job between this look and the mark below.
    insert into soma.job as j (id, kind, subject, team, environment, label, args, priority)
    values (p_id, p_kind, p_subject, p_team, p_environment, p_label, p_args, p_priority)
    on conflict (kind, subject) where dead_at is null
        do update set args = excluded.args, priority = greatest(j.priority, excluded.priority)
    returning j.id into v_id;
    if v_id = p_id then
        insert into soma.job_ready (job_id, kind, team, environment, label, priority, run_after, due)
        values (p_id, p_kind, p_team, p_environment, p_label, p_priority, v_after, p_delay_ms <= 0);
        return v_id;
    end if;
    update soma.job_ready r set run_after = least(r.run_after, v_after), due = r.due or p_delay_ms <= 0, priority = greatest(r.priority, p_priority)
     where r.job_id = v_id;
    if not found then -- a worker has it
        update soma.job j set rerun_at = least(j.rerun_at, v_after) where j.id = v_id;
    end if;
    return v_id;
end $$;

-- Many at once: what is new goes in by sets, what was there already one by one. Everything in the order of (kind, subject), so that two of
-- these meet in one order and cannot wait for each other.
create or replace function job_enqueue_many(p_ids uuid[], p_kinds text[], p_subjects text[], p_teams text[], p_environments text[], p_labels text[],
                                            p_args json[], p_delays bigint[], p_priorities int[]) returns void
language plpgsql
set plan_cache_mode = force_generic_plan set enable_nestloop = off set jit = off
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_made uuid[];
    v_row record;
begin
    with asked as (
        select distinct on (t.kind, t.subject) t.* from unnest(p_ids, p_kinds, p_subjects, p_teams, p_environments, p_labels, p_args, p_delays, p_priorities)
               as t(id, kind, subject, team, environment, label, args, delay_ms, priority)
         order by t.kind, t.subject),
    made as (
        insert into soma.job (id, kind, subject, team, environment, label, args, priority)
        select a.id, a.kind, a.subject, a.team, a.environment, a.label, a.args, a.priority from asked a order by a.kind, a.subject
        on conflict (kind, subject) where dead_at is null do nothing
        returning id),
    queued as (
        insert into soma.job_ready (job_id, kind, team, environment, label, priority, run_after, due)
        select a.id, a.kind, a.team, a.environment, a.label, a.priority, v_now + greatest(a.delay_ms, 0) * interval '1 ms', a.delay_ms <= 0
          from asked a where a.id in (select m.id from made m))
    select array_agg(m.id) into v_made from made m;
    if coalesce(cardinality(v_made), 0) = cardinality(p_ids) then
        return;
    end if;
    for v_row in
        select t.* from unnest(p_ids, p_kinds, p_subjects, p_teams, p_environments, p_labels, p_args, p_delays, p_priorities) with ordinality
               as t(id, kind, subject, team, environment, label, args, delay_ms, priority, n)
         where t.id <> all (coalesce(v_made, '{}')) order by t.kind, t.subject, t.n
    loop
        perform soma.job_enqueue(v_row.id, v_row.kind, v_row.subject, v_row.team, v_row.environment, v_row.label, v_row.args, v_row.delay_ms, v_row.priority);
    end loop;
end $$;

create or replace function job_cancel(p_kind text, p_subject text) returns boolean
language plpgsql as $$
declare
    v_id uuid;
begin
    -- The same order as enqueue: the job's row, then job_ready.
    select j.id into v_id from soma.job j where j.kind = p_kind and j.subject = p_subject and j.dead_at is null for update;
    delete from soma.job_ready r where r.job_id = v_id;
    if not found then
        return false;
    end if;
    delete from soma.job j where j.id = v_id;
    return true;
end $$;

-- Holds the lease to the end of the transaction. FOR KEY SHARE lets the heartbeat's update through and stops the delete of a takeover. The
-- lease's age does not matter here: while the token stands nobody else has the job, and while this lock is held nobody will.
create or replace function job_guard(p_job uuid, p_token uuid) returns void
language plpgsql as $$
begin
    perform from soma.job_lease l where l.job_id = p_job and l.token = p_token for key share;
    if not found then
        raise exception using errcode = 'SF001', message = 'the lease of this job is no longer ours: another worker has it';
    end if;
end $$;

-- The one statement of a worker's round: settles what ended, gives back what is to be tried again, claims the next. Rows returned:
--   claimed  a job with its lease
--   busy     a told job that could not be settled now (its row is locked, or its leash has not ended): tell it again
--   more     there was more to claim, but others held it at this moment: come again at once
--   next     `fence` is in how many milliseconds the next delayed job is due
-- A told job that is in none of the rows is settled, or its lease was lost.
create or replace function job_turn(p_node text, p_incarnation uuid, p_done uuid[], p_done_tokens uuid[],
                                    p_back uuid[], p_back_tokens uuid[], p_back_delays bigint[], p_back_counts boolean[], p_back_reasons text[],
                                    p_want int, p_lease_ms bigint, p_kinds text[], p_labels text[])
returns table (what text, job_id uuid, kind text, subject text, team text, environment text, args json, token uuid, fence bigint, attempt int, crashes int)
language plpgsql
-- Plans are kept for the session and may have been made while the tables were empty: the indexes are right in every state of the queue.
set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
set jit = off set lock_timeout = '5s'
as $$
#variable_conflict use_column
declare
    v_now timestamptz := clock_timestamp();
    v_left int := p_want;
    v_window int;
    v_teams text[];
    v_environments text[];
    v_labels text[];
    v_limited text[];
    v_rooms int[];
    v_ids uuid[];
    v_claimed uuid[] := '{}';
    v_found int;
    v_told int := 0;
    v_chosen_environments text[];
    v_held boolean := false;
    v_more boolean := false;
    v_next timestamptz;
begin
    if cardinality(p_done) > 0 then
        -- Locked rows are skipped and told again: an enqueue that marks "once more" is let through, and this statement never waits.
        with told as (select t.id, t.token from unnest(p_done, p_done_tokens) as t(id, token)),
        mine as materialized (
            select j.id, j.rerun_at
              from told t join soma.job_lease l on l.job_id = t.id and l.token = t.token join soma.job j on j.id = t.id
             where not exists (select from soma.job_leash s where s.job_id = t.id)
               for update of l, j skip locked),
        freed as (delete from soma.job_lease l using mine m where l.job_id = m.id),
        ended as (delete from soma.job j using mine m where j.id = m.id and m.rerun_at is null),
        again as (
            update soma.job j set attempts = 0, crashes = 0, last_error = null, rerun_at = null from mine m
             where j.id = m.id and m.rerun_at is not null
            returning j.id, j.kind, j.team, j.environment, j.label, j.priority, m.rerun_at as run_after),
        queued as (
            insert into soma.job_ready (job_id, kind, team, environment, label, priority, run_after, due)
            select a.id, a.kind, a.team, a.environment, a.label, a.priority, a.run_after, a.run_after <= v_now from again a)
        select count(*) into v_found from mine m;
        v_told := cardinality(p_done) - v_found;
    end if;

    if cardinality(p_back) > 0 then
        with told as (select t.* from unnest(p_back, p_back_tokens, p_back_delays, p_back_counts, p_back_reasons) as t(id, token, delay_ms, counts, reason)),
        mine as materialized (
            select j.id, j.rerun_at, t.delay_ms, t.counts, t.reason
              from told t join soma.job_lease l on l.job_id = t.id and l.token = t.token join soma.job j on j.id = t.id
             where not exists (select from soma.job_leash s where s.job_id = t.id)
               for update of l, j skip locked),
        freed as (delete from soma.job_lease l using mine m where l.job_id = m.id),
        again as (
            -- It will run once more anyway, so the mark goes; it only brings the next try forward.
            update soma.job j set attempts = j.attempts + m.counts::int, last_error = coalesce(m.reason, j.last_error), rerun_at = null from mine m
             where j.id = m.id
            returning j.id, j.kind, j.team, j.environment, j.label, j.priority, least(v_now + m.delay_ms * interval '1 ms', m.rerun_at) as run_after),
        queued as (
            insert into soma.job_ready (job_id, kind, team, environment, label, priority, run_after, due)
            select a.id, a.kind, a.team, a.environment, a.label, a.priority, a.run_after, a.run_after <= v_now from again a)
        select count(*) into v_found from mine m;
        v_told := v_told + cardinality(p_back) - v_found;
    end if;

    -- Told but not settled, and the lease is still there: locked, or on a leash. (Else it was lost before.)
    if v_told > 0 then
        return query
        select 'busy', t.id, null, null, null, null, null::json, t.token, null::bigint, null::int, null::int
          from unnest(p_done || p_back, p_done_tokens || p_back_tokens) as t(id, token) join soma.job_lease l on l.job_id = t.id and l.token = t.token;
    end if;

    if p_want <= 0 then
        return;
    end if;

    update soma.job_ready r set due = true
     where r.job_id in (select w.job_id from soma.job_ready w where not w.due and w.run_after <= v_now order by w.run_after limit 1000 for update skip locked);

    -- The lanes that have something due, each found by one step in the index.
    with recursive lane as (
        (select r.team, r.environment, r.label from soma.job_ready r where r.due order by r.team, r.environment, r.label limit 1)
        union all
        select n.team, n.environment, n.label
          from lane l, lateral (select r.team, r.environment, r.label from soma.job_ready r
                                 where r.due and (r.team, r.environment, r.label) > (l.team, l.environment, l.label)
                                 order by r.team, r.environment, r.label limit 1) n)
    select array_agg(l.team), array_agg(l.environment), array_agg(l.label) into v_teams, v_environments, v_labels
      from lane l where l.label = '' or l.label = any (p_labels);

    if v_teams is not null then
        -- A limited environment is counted under its row's lock, or two claims could each see the last free place. Who finds the row locked
        -- leaves that environment alone for this round. The count is a statement of its own, so that it sees what the last holder committed.
        select array_agg(k.environment) into v_limited
          from (select m.environment from soma.job_limit m where m.environment = any (v_environments) for update skip locked) k;
        select array_agg(m.environment),
               array_agg(case when m.environment = any (coalesce(v_limited, '{}'))
                              then greatest(m.max_running - (select count(*) from soma.job_lease l where l.environment = m.environment and l.environment <> ''), 0)::int
                              else -1 end)
          into v_limited, v_rooms
          from soma.job_limit m where m.environment = any (v_environments);
        v_more := coalesce(-1 = any (v_rooms), false);

        -- Of each lane a few more than its share. When others hold these, or other lanes are short, a wider look follows.
        v_window := p_want / cardinality(v_teams) + 8;
        for pass in 1 .. 3 loop
            if cardinality(v_teams) = 1 and v_limited is null then -- one lane: nothing to weigh
                select array_agg(k.job_id), array_agg(k.environment), count(*) into v_ids, v_chosen_environments, v_found
                  from (select r.job_id, r.environment from soma.job_ready r
                         where r.due and r.team = v_teams[1] and r.environment = v_environments[1] and r.label = v_labels[1] and r.kind = any (p_kinds)
                         order by r.priority desc, r.run_after, r.job_id limit v_left for update skip locked) k;
            else
                select array_agg(q.job_id order by q.priority desc, q.turn, q.served nulls first, q.run_after, q.job_id), count(*) into v_ids, v_found
                  from (select c.*, row_number() over (partition by c.environment order by c.priority desc, c.turn, c.served nulls first, c.run_after, c.job_id) as place
                          from (select h.job_id, h.priority, h.run_after, n.environment, s.served, k.room,
                                       row_number() over (partition by n.team, h.priority order by h.run_after, h.job_id) as turn
                                  from unnest(v_teams, v_environments, v_labels) as n(team, environment, label)
                                  left join soma.job_team s on s.team = n.team
                                  left join unnest(v_limited, v_rooms) as k(environment, room) on k.environment = n.environment
                                 cross join lateral (select r.job_id, r.priority, r.run_after from soma.job_ready r
                                                      where r.due and r.team = n.team and r.environment = n.environment and r.label = n.label
                                                        and r.kind = any (p_kinds)
                                                      order by r.priority desc, r.run_after, r.job_id
                                                      limit least(v_window, greatest(coalesce(k.room, v_window), 0))) h) c) q
                 where q.room is null or q.place <= q.room;
                select array_agg(k.job_id order by k.n), array_agg(k.environment order by k.n) into v_ids, v_chosen_environments
                  from (select r.job_id, r.environment, c.n from unnest(v_ids) with ordinality as c(id, n) join soma.job_ready r on r.job_id = c.id
                         order by c.n limit v_left for update of r skip locked) k;
            end if;
            if v_ids is not null then
                return query
                with taken as (delete from soma.job_ready r where r.job_id = any (v_ids)),
                leased as (
                    insert into soma.job_lease (job_id, token, fence, node_id, incarnation, environment, claimed_at, lease_until)
                    select o.id, gen_random_uuid(), nextval('soma.job_fence'), p_node, p_incarnation, o.environment, v_now, v_now + p_lease_ms * interval '1 ms'
                      from unnest(v_ids, v_chosen_environments) as o(id, environment)
                    returning job_lease.job_id, job_lease.token, job_lease.fence)
                select 'claimed', j.id, j.kind, j.subject, j.team, j.environment, j.args, l.token, l.fence, j.attempts + 1, j.crashes
                  from leased l join soma.job j on j.id = l.job_id
                 order by l.fence;
                v_claimed := v_claimed || v_ids;
                v_left := v_left - cardinality(v_ids);
            end if;
            v_held := v_found > coalesce(cardinality(v_ids), 0);
            exit when v_left <= 0 or v_found < v_window;
            -- Rooms were counted before this pass and are not counted again: who has limits comes again.
            exit when v_limited is not null;
            v_window := v_window * 8;
        end loop;
        v_more := v_left > 0 and (v_more or v_held or v_found >= v_window);

        -- Whose turn was it: only where teams compete. Rows that another claim is writing are left to it; new ones come in one order, so that
        -- two claims cannot wait for each other.
        if exists (select from unnest(v_teams) t(team) where t.team <> v_teams[1]) then
            with given as materialized (
                select j.team, max(l.fence) as fence from soma.job_lease l join soma.job j on j.id = l.job_id
                 where l.job_id = any (v_claimed) group by j.team),
            known as (select t.team from soma.job_team t where t.team in (select g.team from given g) for update skip locked)
            update soma.job_team t set served = g.fence from given g where g.team = t.team and t.team in (select k.team from known k);
            insert into soma.job_team (team, served)
            select j.team, max(l.fence) from soma.job_lease l join soma.job j on j.id = l.job_id
             where l.job_id = any (v_claimed) and not exists (select from soma.job_team t where t.team = j.team)
             group by j.team order by j.team
            on conflict do nothing;
        end if;
    end if;

    if v_more then
        return query select 'more', null::uuid, null, null, null, null, null::json, null::uuid, null::bigint, null::int, null::int;
    end if;
    select min(r.run_after) into v_next from soma.job_ready r where not r.due;
    if v_next is not null then
        return query select 'next', null::uuid, null, null, null, null, null::json, null::uuid,
                            greatest(0, ceil(extract(epoch from v_next - clock_timestamp()) * 1000))::bigint, null::int, null::int;
    end if;
end $$;

-- One statement a node and quarter of a lease. Answers the jobs whose lease is still theirs, however old it had become: while the token
-- stands nobody took the job over.
create or replace function job_beat(p_jobs uuid[], p_tokens uuid[], p_lease_ms bigint) returns setof uuid
language sql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s'
as $$
    update soma.job_lease l set lease_until = clock_timestamp() + p_lease_ms * interval '1 ms'
      from unnest(p_jobs, p_tokens) as t(id, token) where l.job_id = t.id and l.token = t.token
    returning l.job_id
$$;

-- Puts back into the queue what no living worker has: leases that ran out (p_expired), leases of earlier incarnations of this node's worker,
-- and leases of this one that it does not know of (p_held is what it holds; null: do not look), because the answer to a claim was lost.
-- A job with a leash is never among them. Returns how many.
create or replace function job_reap(p_node text, p_incarnation uuid, p_held uuid[], p_expired boolean) returns int
language plpgsql
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set jit = off set lock_timeout = '2s'
as $$
declare
    v_now timestamptz := clock_timestamp();
    v_ids uuid[];
begin
    -- The guard of a job's transaction holds its lease FOR KEY SHARE: such a row is skipped here, and looked at again a second later.
    select array_agg(k.job_id) into v_ids
      from (select l.job_id from soma.job_lease l join soma.job j on j.id = l.job_id
             where case when l.node_id = p_node and l.incarnation = p_incarnation then p_held is not null and not l.job_id = any (p_held)
                        when l.node_id = p_node then true
                        else p_expired and l.lease_until < v_now end
             limit 1000 for update of l, j skip locked) k;
    if v_ids is null then
        return 0;
    end if;
    -- A statement of its own: a leash that was recorded under the guard just before our lock is seen here, though not by the one above.
    with lost as materialized (
        select l.job_id, not (l.node_id = p_node and l.incarnation = p_incarnation) as crashed
          from soma.job_lease l where l.job_id = any (v_ids) and not exists (select from soma.job_leash s where s.job_id = l.job_id)),
    freed as (delete from soma.job_lease l using lost o where l.job_id = o.job_id),
    counted as (
        update soma.job j set crashes = j.crashes + o.crashed::int, rerun_at = null,
                              last_error = case when o.crashed then 'the worker that ran it died or lost its lease' else j.last_error end
          from lost o where j.id = o.job_id
        returning j.*),
    back as (
        -- The first time at once; a job that kills its workers comes back more and more slowly.
        insert into soma.job_ready (job_id, kind, team, environment, label, priority, run_after, due)
        select c.id, c.kind, c.team, c.environment, c.label, c.priority,
               v_now + case when c.crashes > 1 then random() * least(60, 2 ^ least(c.crashes, 10)) else 0 end * interval '1 s', c.crashes <= 1
          from counted c
        returning 1)
    select array_agg(o.job_id) into v_ids from lost o;
    return coalesce(cardinality(v_ids), 0);
end $$;

-- The supervisor's word that the tree of a run has ended, whoever brings it.
create or replace function job_leash_end(p_node text, p_run text) returns void
language sql as $$ delete from soma.job_leash s where s.node_id = p_node and s.run = p_run $$;

-- To the dead letters, under the caller's transaction. False: the job's leash has not ended, it must wait. SF001 without the lease.
create or replace function job_bury(p_job uuid, p_token uuid, p_reason text, p_new_id uuid) returns boolean
language plpgsql as $$
declare
    v_job soma.job;
    v_rerun timestamptz;
begin
    -- FOR UPDATE: the lease goes in this transaction.
    perform from soma.job_lease l where l.job_id = p_job and l.token = p_token for update;
    if not found then
        raise exception using errcode = 'SF001', message = 'the lease of this job is no longer ours: another worker has it';
    end if;
    if exists (select from soma.job_leash s where s.job_id = p_job) then
        return false;
    end if;
    delete from soma.job_lease l where l.job_id = p_job;
    select j.rerun_at into v_rerun from soma.job j where j.id = p_job for update;
    update soma.job j set dead_at = clock_timestamp(), dead_reason = p_reason, last_error = p_reason, rerun_at = null where j.id = p_job returning j.* into v_job;
    if v_rerun is not null then -- somebody asked for one more run meanwhile: a new job, with counters of its own
        perform soma.job_enqueue(p_new_id, v_job.kind, v_job.subject, v_job.team, v_job.environment, v_job.label, v_job.args, 0, v_job.priority);
    end if;
    return true;
end $$;

create or replace function job_time(t timestamptz) returns text
language sql immutable as $$ select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

create or replace function job_json(j soma.job) returns json
language sql stable as $$
    select json_build_object(
        'id', j.id, 'kind', j.kind, 'subject', j.subject, 'team', j.team, 'environment', j.environment, 'label', j.label, 'priority', j.priority,
        'state', case when j.dead_at is not null then 'dead' when l.job_id is not null then 'running' else 'queued' end,
        'attempts', j.attempts, 'crashes', j.crashes, 'reason', coalesce(j.dead_reason, j.last_error), 'created_at', soma.job_time(j.created_at),
        'run_after', soma.job_time(r.run_after), 'node', l.node_id, 'claimed_at', soma.job_time(l.claimed_at), 'lease_until', soma.job_time(l.lease_until),
        'leash', (select json_build_object('node', s.node_id, 'run', s.run, 'begun_at', soma.job_time(s.begun_at)) from soma.job_leash s where s.job_id = j.id limit 1),
        'dead_at', soma.job_time(j.dead_at))
      from (select 1) one
      left join soma.job_ready r on r.job_id = j.id
      left join soma.job_lease l on l.job_id = j.id
$$;

-- A dead letter is queued again with fresh counters. SN404: no such dead letter; SC409: a job of that kind and subject is queued or running.
create or replace function job_revive(p_id uuid) returns json
language plpgsql as $$
declare
    v_job soma.job;
begin
    begin
        update soma.job j set dead_at = null, dead_reason = null, attempts = 0, crashes = 0 where j.id = p_id and j.dead_at is not null returning j.* into v_job;
    exception when unique_violation then
        raise exception using errcode = 'SC409', message = 'another job of this kind for the same subject is queued or running; wait for its end';
    end;
    if v_job.id is null then
        if exists (select from soma.job j where j.id = p_id) then
            raise exception using errcode = 'SC409', message = 'this job is not a dead letter: it is queued or running already';
        end if;
        raise exception using errcode = 'SN404', message = 'there is no such job';
    end if;
    insert into soma.job_ready (job_id, kind, team, environment, label, priority, run_after, due)
    values (v_job.id, v_job.kind, v_job.team, v_job.environment, v_job.label, v_job.priority, clock_timestamp(), true);
    return soma.job_json(v_job);
end $$;

-- One tick of the schedules: every kind whose time has come is enqueued once, whichever node asks first. The row itself is the lease: who moves
-- next_at enqueues, in one transaction; who finds it locked leaves it. A run that is still going on takes the place of the next one.
-- Returns in how many milliseconds the next one is due.
create or replace function job_tick(p_kinds text[], p_every bigint[], p_ids uuid[]) returns bigint
language plpgsql as $$
declare
    v_now timestamptz := clock_timestamp();
    v_row record;
begin
    insert into soma.job_schedule (kind, every_ms, next_at) select t.kind, t.every, v_now from unnest(p_kinds, p_every) t(kind, every)
     where not exists (select from soma.job_schedule s where s.kind = t.kind) order by t.kind
    on conflict do nothing;
    for v_row in
        select s.kind, s.next_at, t.every, t.id from unnest(p_kinds, p_every, p_ids) t(kind, every, id) join soma.job_schedule s on s.kind = t.kind
         where s.next_at <= v_now or s.next_at > v_now + t.every * interval '1 ms' -- the latter: the interval was shortened
         order by s.kind for update of s skip locked
    loop
        -- What was missed while no node ran is made up for once, not once an interval.
        update soma.job_schedule s
           set every_ms = v_row.every,
               next_at = case when v_row.next_at > v_now then v_now else greatest(v_row.next_at, v_now - v_row.every * interval '1 ms') end + v_row.every * interval '1 ms'
         where s.kind = v_row.kind;
        if v_row.next_at <= v_now and not exists (select from soma.job j where j.kind = v_row.kind and j.subject = 'schedule' and j.dead_at is null) then
            perform soma.job_enqueue(v_row.id, v_row.kind, 'schedule', '', '', '', '{}', 0, 0);
        end if;
    end loop;
    return (select greatest(0, ceil(extract(epoch from min(s.next_at) - clock_timestamp()) * 1000))::bigint from soma.job_schedule s where s.kind = any (p_kinds));
end $$;
