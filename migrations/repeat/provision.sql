-- How environments, orders and services look to the API: one place for each, so that list, detail and events agree.

create or replace function rfc3339(t timestamptz) returns text language sql immutable as $$
    select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

create or replace function environment_json(e environment) returns jsonb language sql stable as $$
    select jsonb_build_object('name', e.name, 'title', e.title, 'settings', e.settings,
        'credentials', (select coalesce(jsonb_agg(c.name order by c.name), '[]') from environment_credential c where c.environment = e.name),
        'teams', e.teams, 'require_approval', e.require_approval,
        'approval_count', greatest(e.approval_count, 1), 'approval_seconds', case when e.approval_seconds = 0 then 259200 else e.approval_seconds end,
        'approval_team', e.approval_team, 'services_per_team', e.services_per_team,
        'resources_per_team', e.resources_per_team, 'max_running', e.max_running,
        'created_at', rfc3339(e.created_at), 'updated_at', rfc3339(e.updated_at))
$$;

create or replace function order_json(o orders) returns jsonb language sql stable as $$
    select jsonb_build_object('id', o.id, 'kind', o.kind, 'name', o.name, 'template', o.template, 'template_version', o.template_version,
        'environment', o.environment, 'team', o.team, 'cost_centre', o.cost_centre, 'ordered_by', o.actor_name, 'person', o.person_name,
        'parameters', o.parameters, 'plan_only', o.plan_only, 'state', o.state, 'reason', o.reason, 'problem', o.problem,
        'requested_at', rfc3339(o.requested_at), 'finished_at', rfc3339(o.finished_at))
$$;

create or replace function order_detail_json(o orders) returns jsonb language sql stable as $$
    select order_json(o) || jsonb_build_object(
        'steps', (select coalesce(jsonb_agg(jsonb_build_object('state', s.state, 'at', rfc3339(s.at), 'actor', s.actor, 'reason', s.reason,
                'seconds', round(extract(epoch from (s.until - s.at))::numeric, 3)) order by s.seq), '[]')
            from (select state, at, actor, reason, seq,
                    coalesce(lead(at) over (order by seq), case when state in ('ready', 'failed', 'canceled') then at else clock_timestamp() end) as until
                  from order_step where order_id = o.id) s),
        'gates', (select coalesce(jsonb_agg(jsonb_build_object('point', g.point, 'gate', g.gate, 'number', g.number, 'outcome', g.outcome,
                'message', g.message, 'detail', g.detail, 'at', rfc3339(g.at)) order by g.id), '[]') from gate_decision g where g.order_id = o.id),
        'demands', (select coalesce(jsonb_agg(jsonb_build_object('point', d.point, 'gate', d.gate, 'role', d.role, 'team', nullif(d.team, ''), 'count', d.count,
                'seconds', d.seconds, 'message', d.message) order by d.id), '[]') from approval_demand d where d.order_id = o.id),
        'plan', o.plan,
        'approval', (select jsonb_build_object('decision', a.decision, 'by', a.actor_name, 'person', a.person_name, 'comment', a.comment, 'at', rfc3339(a.at))
            from order_approval a where a.order_id = o.id),
        'runs', (select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'phase', r.phase, 'engine', r.engine, 'engine_version', r.engine_version,
                'providers', r.providers, 'outcome', r.outcome, 'started_at', rfc3339(r.started_at), 'ended_at', rfc3339(r.ended_at)) order by r.started_at), '[]')
            from run r where r.order_id = o.id))
$$;

create or replace function service_json(s service) returns jsonb language sql stable as $$
    select jsonb_build_object('id', s.id, 'name', s.name, 'state', s.state, 'reason', s.reason, 'warning', s.warning, 'template', s.template,
        'template_version', s.template_version, 'environment', s.environment, 'team', s.team, 'owner', s.owner, 'cost_centre', s.cost_centre,
        'parameters', s.parameters, 'tags', s.tags, 'resources', s.resources, 'order', s.current_order,
        'created_at', rfc3339(s.created_at), 'ready_at', rfc3339(s.ready_at), 'destroyed_at', rfc3339(s.destroyed_at))
$$;

grant execute on function rfc3339(timestamptz), environment_json(environment), order_json(orders), order_detail_json(orders), service_json(service) to soma_app;
