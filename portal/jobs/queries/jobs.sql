-- The locks that these take are explained where the functions are: migrations/repeat/jobs.sql.

-- name: job_enqueue
select job_enqueue($1, $2, $3, $4, $5, $6, $7::json, $8, $9)

-- name: job_enqueue_many
select job_enqueue_many($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::json[], $8::bigint[], $9::int[])

-- name: job_cancel
select job_cancel($1, $2)

-- name: job_guard
select job_guard($1, $2)

-- name: job_turn
select what, job_id, kind, subject, team, environment, args, token, fence, attempt, crashes
  from job_turn($1, $2, $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::bigint[], $8::boolean[], $9::text[], $10, $11, $12::text[], $13::text[])

-- name: job_beat
select * from job_beat($1::uuid[], $2::uuid[], $3)

-- name: job_reap
select job_reap($1, $2, $3::uuid[], $4)

-- name: job_bury
select job_bury($1, $2, $3, $4)

-- name: job_tick
select job_tick($1::text[], $2::bigint[], $3::uuid[])

-- The guard stands before it in the same transaction.
-- name: leash_begin
insert into job_leash (node_id, run, job_id) values ($1, $2, $3) on conflict (node_id, run) do update set job_id = excluded.job_id

-- name: leash_ended
select job_leash_end($1, $2)

-- name: limit_set
insert into job_limit (environment, max_running) values ($1, $2) on conflict (environment) do update set max_running = excluded.max_running

-- name: limit_drop
delete from job_limit where environment = $1

-- name: job_counts
select (select count(*) from job_ready where due), (select count(*) from job_ready where not due),
       (select count(*) from job_lease), (select count(*) from job where dead_at is not null)

-- name: job_forget_dead
delete from job where id in (select id from job where dead_at < clock_timestamp() - interval '90 days' order by dead_at limit 1000)

-- name: job_list
select job_json(j), j.id from job j
 where ($1::text is null
        or $1 = 'dead' and j.dead_at is not null
        or $1 = 'running' and exists (select from job_lease l where l.job_id = j.id)
        or $1 = 'queued' and exists (select from job_ready r where r.job_id = j.id))
   and ($2::text is null or j.kind = $2)
   and ($3::uuid is null or j.id < $3)
 order by j.id desc limit $4

-- name: job_get
select job_json(j) from job j where j.id = $1

-- name: job_revive
select job_revive($1)
