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

-- Whether a person holds a role in a team themselves, as auth's own rules have it; '' is everywhere.
create or replace function approval_holds(p_person uuid, p_role text, p_team text) returns boolean language sql stable as $$
    select exists (select from role_binding b join account a on a.id = b.account
                    where b.account = p_person and a.kind = 'person' and a.disabled_at is null
                      and (b.role = 'platform-admin'
                           or p_role <> 'platform-admin' and (b.role = p_role or p_role = 'viewer') and (b.team is null or b.team = p_team)))
$$;

-- For which demands of a round a person could still count, and with whose right: their own before one that was handed to them. The orderer has none, nobody uses the
-- orderer's, and none is used twice. p_own: what the caller's token leaves of their own ("role/team"); null: all that they hold.
create or replace function approval_rights(p_approval uuid, p_person uuid, p_own jsonb, p_delegated boolean) returns table (role text, team text, right_of uuid)
language sql stable as $$
    select d.role, d.team, r.right_of
      from approval_asked d join approval a on a.id = d.approval join orders o on o.id = a.order_id
     cross join lateral (
        select x.right_of
          from (select p_person as right_of, 0 as rank
                 where case when p_own is null then approval_holds(p_person, d.role, d.team) else p_own ? (d.role || '/' || d.team) end
                union all
                select g.from_person, 1 from approval_delegation g
                 where p_delegated and g.to_person = p_person and g.revoked_at is null and g.until > now() and g.from_person::text <> o.person
                   and approval_holds(g.from_person, d.role, d.team)) x
         where not exists (select from approval_vote v where v.approval = d.approval and v.role = d.role and v.team = d.team and v.right_of = x.right_of)
         order by x.rank, x.right_of limit 1) r
     where d.approval = p_approval and o.person <> p_person::text
$$;

-- Whether a person may see an order because they are asked about it, or were.
create or replace function approval_concerns(p_order uuid, p_person uuid) returns boolean language sql stable as $$
    select exists (select from approval a join approval_asked d on d.approval = a.id
                    where a.order_id = p_order
                      and (approval_holds(p_person, d.role, d.team)
                           or exists (select from approval_delegation g where g.to_person = p_person and g.revoked_at is null and g.until > now()
                                                                          and approval_holds(g.from_person, d.role, d.team))))
$$;

-- What an estimating gate said about the order, newest first; null when none did.
create or replace function order_price(p_order uuid) returns text language sql stable as $$
    select x.price ->> 'monthly_cost' || ' ' || coalesce(x.price ->> 'currency', 'USD') || ' a month'
           || coalesce(' (' || nullif(x.price ->> 'previous_monthly_cost', '') || ' before)', '')
      from (select case when g.detail ? 'monthly_cost' then g.detail when g.detail -> 'estimate' ? 'monthly_cost' then g.detail -> 'estimate' end as price, g.id
              from gate_decision g where g.order_id = p_order and g.detail is not null) x
     where x.price is not null order by x.id desc limit 1
$$;

create or replace function approval_json(a approval) returns jsonb language sql stable as $$
    select jsonb_build_object('id', a.id, 'round', a.round, 'state', a.state, 'reason', a.reason, 'asked_at', rfc3339(a.asked_at), 'expires_at', rfc3339(a.expires_at),
        'ended_at', rfc3339(a.ended_at), 'plan', a.plan,
        'demands', (select coalesce(jsonb_agg(jsonb_build_object('role', d.role, 'team', nullif(d.team, ''), 'count', d.count, 'gates', d.gates, 'message', d.message,
                'given', (select count(distinct v.person) from approval_vote v where v.approval = d.approval and v.role = d.role and v.team = d.team))
                order by d.role, d.team), '[]') from approval_asked d where d.approval = a.id),
        'decisions', (select coalesce(jsonb_agg(jsonb_build_object('decision', x.decision, 'by', x.actor_name, 'person', x.person_name, 'comment', x.comment, 'via', x.via,
                'at', rfc3339(x.at), 'for', (select coalesce(jsonb_agg(distinct p.name), '[]') from approval_vote v join account p on p.id = v.right_of
                    where v.approval = x.approval and v.person = x.person and v.right_of <> v.person)) order by x.at), '[]')
            from approval_decision x where x.approval = a.id))
$$;

-- With the order it is about; `mine`: whether the person can decide about it.
create or replace function approval_item_json(a approval, o orders, p_mine boolean) returns jsonb language sql stable as $$
    select approval_json(a) || jsonb_build_object('mine', p_mine, 'price', order_price(o.id), 'order', jsonb_build_object('id', o.id, 'kind', o.kind, 'name', o.name, 'template', o.template,
        'environment', o.environment, 'team', o.team, 'cost_centre', o.cost_centre, 'ordered_by', o.actor_name, 'person', o.person_name, 'state', o.state,
        'requested_at', rfc3339(o.requested_at)))
$$;

create or replace function delegation_json(g approval_delegation) returns jsonb language sql stable as $$
    select jsonb_build_object('id', g.id, 'from', (select a.name from account a where a.id = g.from_person), 'to', (select a.name from account a where a.id = g.to_person),
        'comment', g.comment, 'until', rfc3339(g.until), 'created_at', rfc3339(g.created_at), 'revoked_at', rfc3339(g.revoked_at),
        'state', case when g.revoked_at is not null then 'revoked' when g.until <= now() then 'ended' else 'active' end)
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
        'approval', (select approval_json(a) || (select jsonb_build_object('decision', x.decision, 'by', x.actor_name, 'person', x.person_name, 'comment', x.comment, 'at', rfc3339(x.at))
                from (select 1) one left join lateral (select * from approval_decision d where d.approval = a.id order by d.at desc limit 1) x on true)
            from approval a where a.order_id = o.id order by a.round desc limit 1),
        'approvals', (select coalesce(jsonb_agg(approval_json(a) order by a.round), '[]') from approval a where a.order_id = o.id),
        'runs', (select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'phase', r.phase, 'engine', r.engine, 'engine_version', r.engine_version,
                'providers', r.providers, 'outcome', r.outcome, 'started_at', rfc3339(r.started_at), 'ended_at', rfc3339(r.ended_at)) order by r.started_at), '[]')
            from run r where r.order_id = o.id))
$$;

create or replace function service_json(s service) returns jsonb language sql stable as $$
    select jsonb_build_object('id', s.id, 'name', s.name, 'state', s.state, 'reason', s.reason, 'warning', s.warning, 'possibly_left', s.possibly_left, 'template', s.template,
        'template_version', s.template_version, 'environment', s.environment, 'team', s.team, 'owner', s.owner, 'cost_centre', s.cost_centre,
        'parameters', s.parameters, 'tags', s.tags, 'resources', s.resources, 'order', s.current_order,
        'created_at', rfc3339(s.created_at), 'ready_at', rfc3339(s.ready_at), 'destroyed_at', rfc3339(s.destroyed_at))
$$;

grant execute on function rfc3339(timestamptz), environment_json(environment), order_json(orders), order_detail_json(orders), service_json(service),
    approval_holds(uuid, text, text), approval_rights(uuid, uuid, jsonb, boolean), approval_concerns(uuid, uuid), order_price(uuid), approval_json(approval),
    approval_item_json(approval, orders, boolean), delegation_json(approval_delegation) to soma_app;
