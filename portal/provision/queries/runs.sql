-- name: run_insert
insert into run (id, order_id, phase, node, fence, engine, engine_version, providers, serial_before) values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)
-- name: run_end
update run set outcome = $2, serial_after = $3, ended_at = clock_timestamp(), journal = $4 where id = $1
-- name: run_swept
update run set outcome = 'swept', serial_after = $2, journal = $3, ended_at = clock_timestamp() where id = $1 and ended_at is null
-- name: run_order
select r.order_id, o.service_id, o.name, o.team from run r join orders o on o.id = r.order_id where r.id = $1
-- name: run_applies
-- journals tell what was in flight when an apply was cut off; all of them, because a second one may be cut off before it stored what the first had made
select r.id, r.journal from run r where r.order_id = $1 and r.phase = 'apply' order by r.started_at
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
delete from saved_plan where order_id = $1
