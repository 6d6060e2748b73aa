-- name: order_json
select order_json(o) from orders o where id = $1
-- name: order_detail
select order_detail_json(o), team, name from orders o where id = $1
-- name: order_page
select order_json(o), o.id from orders o
where ($1::jsonb is null or $1::jsonb ? o.team) and ($2::text is null or o.state = $2 or ($2 = 'open' and o.finished_at is null))
  and ($3::text is null or o.team = $3) and ($4::text is null or o.name = $4) and ($5::uuid is null or o.id < $5::uuid)
order by o.id desc limit $6
-- name: order_find
select o.id, o.team, o.state, o.person, o.kind, o.service_id, o.prior_state, o.name, o.plan_only, o.person_name from orders o where o.id = $1
-- name: order_lock
-- cancel, approval and the worker's next step take turns on the order's row
select o.id, o.team, o.state, o.person, o.kind, o.service_id, o.prior_state, o.name, o.plan_only, o.person_name, o.environment from orders o where o.id = $1 for update
-- name: order_insert
insert into orders (id, kind, service_id, name, template, template_version, environment, team, actor, actor_name, person, person_name, cost_centre, parameters, plan_only, state, prior_state)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'queued', $16)
-- name: order_step_add
insert into order_step (order_id, seq, state, actor, reason) values ($1, coalesce((select max(seq) from order_step where order_id = $1), 0) + 1, $2, $3, $4)
-- name: order_set_state
-- only from the state the caller saw: two writers never both move one order
update orders set state = $3, reason = $4, problem = coalesce($5::jsonb, problem), version = version + 1,
    finished_at = case when $3 in ('ready', 'failed', 'canceled') then clock_timestamp() else finished_at end
where id = $1 and state = $2
-- name: order_set_reason
update orders set reason = $2, version = version + 1 where id = $1 and finished_at is null
-- name: order_load
select o.id, o.kind, o.service_id, o.name, o.template, o.template_version, o.environment, o.team, o.actor_name, o.person, o.person_name, o.cost_centre,
    o.parameters, o.plan_only, o.state, o.sealed_values, o.prior_state from orders o where o.id = $1
-- name: order_set_plan
update orders set plan = $2::jsonb, plan_digest = $3, version = version + 1 where id = $1
-- name: order_set_values
update orders set sealed_values = $2 where id = $1
-- name: team_cost_centre
select coalesce(cost_centre, '') from team where name = $1
-- name: gate_record
insert into gate_decision (order_id, service, point, number, gate, outcome, message, detail) values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)
-- name: quota_hold
-- who judges a team's quota in an environment waits until the one before has committed its word: else two see the same free place
select pg_advisory_xact_lock(hashtextextended('quota ' || $1 || ' ' || $2, 0))
-- name: quota_services
-- the others that hold a place: living, and let in by this gate
select e.services_per_team, (select count(*) from service s where s.team = $2 and s.environment = $1 and s.state <> 'destroyed' and s.id <> $3::uuid
    and (s.state <> 'creating' or exists (select from gate_decision g where g.order_id = s.current_order and g.gate = 'quota-services' and g.outcome = 'allow')))
from environment e where e.name = $1
-- name: quota_resources
-- what the others have, and what those on their way were allowed
select e.resources_per_team, (select coalesce(sum(greatest(s.resources, allowed.resources)), 0) from service s
    left join lateral (select (g.detail->>'resources')::bigint as resources from gate_decision g
        where g.order_id = s.current_order and g.gate = 'quota-resources' and g.outcome = 'allow' order by g.id desc limit 1) allowed on s.state in ('creating', 'changing')
    where s.team = $2 and s.environment = $1 and s.state <> 'destroyed' and s.id <> $3::uuid)
from environment e where e.name = $1
-- name: environment_protected
select require_approval, approval_count, approval_seconds, approval_team from environment where name = $1
