-- name: run_insert
insert into run (id, order_id, phase, node, fence, engine, engine_version, providers, serial_before) values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)
-- name: run_end
update run set outcome = $2, serial_after = $3, ended_at = clock_timestamp(), journal = $4 where id = $1
-- name: run_swept
update run set outcome = 'swept', serial_after = $2, journal = $3, ended_at = clock_timestamp() where id = $1 and ended_at is null
-- name: run_order
select r.order_id, o.service_id, o.name, o.team from run r join orders o on o.id = r.order_id where r.id = $1
-- name: run_applies
select r.outcome from run r where r.order_id = $1 and r.phase = 'apply' order by r.started_at
-- name: run_unsettled
-- journals tell what was in flight when an apply was cut off; all of that order's, because a later one may have been cut off before it stored what an earlier one had made,
-- or may have been refused what an earlier one was making
-- a journal is lost with its node's disk: then the event log tells, which had it while the run went on
select r.id, r.order_id, r.journal, p.sealed_json, p.state_serial, case when r.journal is null then (
    select string_agg(e.data::text, E'\n' order by e.xid, e.id) from event e
    where e.entity = 'order:' || r.order_id and e.type in ('terraform.apply_start', 'terraform.apply_complete', 'terraform.apply_errored', 'terraform.diagnostic')
      and e.at >= r.started_at and e.at < coalesce((select min(n.started_at) from run n where n.order_id = r.order_id and n.started_at > r.started_at), 'infinity')) end
from run r join orders o on o.id = r.order_id left join saved_plan p on p.order_id = o.id
where o.service_id = $1 and o.kind = 'create' and r.phase = 'apply' and r.settled_at is null and (r.journal is not null or coalesce(r.outcome, 'swept') = 'swept')
  and exists (select from run cut where cut.order_id = o.id and cut.phase = 'apply' and cut.settled_at is null and coalesce(cut.outcome, 'swept') in ('swept', 'stopped'))
order by r.started_at
-- name: run_settle
update run set settled_at = clock_timestamp() from orders o where o.id = run.order_id and o.service_id = $1 and run.phase = 'apply' and run.settled_at is null
-- name: run_forget
-- journals and plans of a service that is destroyed: what they hold is no longer anybody's business
with plans as (delete from saved_plan p using orders o where o.id = p.order_id and o.service_id = $1)
update run set journal = null from orders o where o.id = run.order_id and o.service_id = $1 and run.journal is not null
-- name: run_open_elsewhere
select id from run where node = $1 and ended_at is null
-- name: plan_put
insert into saved_plan (order_id, sealed, sealed_json, state_serial, template_version, engine, engine_version, providers, has_changes)
values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)
on conflict (order_id) do update set sealed = excluded.sealed, sealed_json = excluded.sealed_json, state_serial = excluded.state_serial, template_version = excluded.template_version,
    engine = excluded.engine, engine_version = excluded.engine_version, providers = excluded.providers, has_changes = excluded.has_changes, at = clock_timestamp()
-- name: plan_get
select sealed, sealed_json, state_serial, template_version, engine, engine_version, providers, has_changes from saved_plan where order_id = $1
-- name: plan_drop
-- as long as an apply of it was cut off and is not settled, its values tell what to look for
delete from saved_plan where order_id = $1
  and not exists (select from run r where r.order_id = $1 and r.phase = 'apply' and r.settled_at is null and coalesce(r.outcome, 'swept') in ('swept', 'stopped'))
