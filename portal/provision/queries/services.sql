-- name: service_page
select service_json(s), s.id from service s
where ($1::jsonb is null or $1::jsonb ? s.team) and (case when $2::text is null then s.state <> 'destroyed' else s.state = $2 end)
  and ($3::text is null or s.team = $3) and ($4::text is null or s.environment = $4) and ($5::uuid is null or s.id < $5::uuid)
order by s.id desc limit $6
-- name: service_get
-- the living one of that name, else the one that ended last
select service_json(s), s.team, s.version, s.id, s.state from service s where s.name = $1 order by (s.state <> 'destroyed') desc, s.id desc limit 1
-- name: service_outputs_shown
select s.team, s.outputs from service s where s.name = $1 order by (s.state <> 'destroyed') desc, s.id desc limit 1
-- name: service_outputs
select s.id, s.team, s.outputs, s.sealed_outputs, s.outputs_version, s.template, s.environment, s.cost_centre, s.state, s.parameters
from service s where s.name = $1 order by (s.state <> 'destroyed') desc, s.id desc limit 1
-- name: service_for_destroy
select s.id, s.team, s.state, s.template, s.template_version, s.environment, s.cost_centre, s.parameters, s.current_order from service s
where s.name = $1 and s.state <> 'destroyed' for update
-- name: service_reusable
-- a failed one that holds nothing gives its name back; after an apply that was cut off nobody knows that it holds nothing
update service set state = 'destroyed', destroyed_at = now(), version = version + 1, sealed_outputs = null, sealed_values = null
where name = $1 and team = $2 and state = 'failed' and resources = 0 and not exists (select from orders o where o.id = current_order and o.finished_at is null)
  and possibly_left = '[]'
  and not exists (select from run r join orders o on o.id = r.order_id where o.service_id = service.id and r.phase = 'apply' and r.settled_at is null and coalesce(r.outcome, 'swept') in ('swept', 'stopped'))
returning id
-- name: service_insert
insert into service (id, name, template, template_version, environment, team, owner, cost_centre, state, parameters, tags, current_order, sealed_values)
values ($1, $2, $3, $4, $5, $6, $7, $8, 'creating', $9, $10, $11, $12)
-- name: service_set_state
update service set state = $2, reason = $3, version = version + 1, current_order = coalesce($4::uuid, current_order),
    ready_at = case when $2 = 'ready' then coalesce(ready_at, now()) else ready_at end,
    destroyed_at = case when $2 = 'destroyed' then now() else destroyed_at end,
    sealed_outputs = case when $2 = 'destroyed' then null else sealed_outputs end,
    sealed_values = case when $2 = 'destroyed' then null else sealed_values end
where id = $1
-- name: service_load
select s.id, s.state, s.parameters, s.sealed_values, s.tags, s.owner, s.outputs, s.resources from service s where s.id = $1
-- name: service_set_outputs
update service set outputs = $2::jsonb, sealed_outputs = $3, outputs_version = $4, resources = $5, version = version + 1 where id = $1
-- name: service_outputs_version
select outputs_version + 1 from service where id = $1
-- name: service_set_resources
update service set resources = $2, version = version + 1 where id = $1 and resources <> $2
-- name: service_set_warning
update service set warning = $2, version = version + 1 where id = $1
-- name: service_set_left
update service set possibly_left = $2::jsonb, version = version + 1 where id = $1
-- name: service_left
select coalesce(string_agg(format('%s (%s)', l->>'address', l->>'why'), '; '), '') from service s, jsonb_array_elements(s.possibly_left) l where s.id = $1
-- name: state_put
insert into terraform_state (service_id, serial, lineage, sealed, run) values ($1, $2, $3, $4, $5)
on conflict (service_id, serial) do update set sealed = excluded.sealed, run = excluded.run, at = clock_timestamp()
-- name: state_last
select serial, lineage, sealed from terraform_state where service_id = $1 and sealed is not null order by serial desc limit 1
-- name: state_wipe
-- what a destroyed service's states held is no longer anybody's business; their serials stay as history
update terraform_state set sealed = null where service_id = $1
