-- Estimates of orders, what they commit, budgets and quotas.

create table estimate (
    order_id    uuid primary key,
    service_id  uuid,
    service     text not null,
    team        text not null,
    environment text not null,
    cost_centre text not null default '',
    result      jsonb not null,                     -- what POST /api/v1/finops/estimates answers
    made_at     timestamptz not null default now()
);
create index estimate_service on estimate (service_id, made_at desc);

-- What one order will cost a month, in each currency, from the moment the budget let it pass.
create table commitment (
    order_id    uuid not null,
    service_id  uuid not null,
    team        text not null,
    environment text not null,
    cost_centre text not null default '',
    currency    text not null,
    monthly     numeric not null,
    made_at     timestamptz not null default now(),
    primary key (order_id, currency)
);
create index commitment_service on commitment (service_id, made_at desc);

create table budget (
    name          text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    scope         text not null check (scope in ('team', 'environment', 'cost_centre', 'all')),
    of            text not null default '',         -- the team's, environment's or cost centre's name
    monthly       numeric not null check (monthly >= 0),
    currency      text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    on_exceed     text not null default 'deny' check (on_exceed in ('deny', 'approve', 'warn')),
    approver_role text not null default 'approver' check (approver_role in ('approver', 'platform-admin')),
    changed_by    text not null,
    changed_at    timestamptz not null default now(),
    check ((scope = 'all') = (of = ''))
);

create table quota (
    name       text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    scope      text not null check (scope in ('team', 'environment', 'cost_centre', 'all')),
    of         text not null default '',
    what       text not null check (what in ('services', 'order_monthly')), -- services that live; what one order may cost a month
    maximum    numeric not null check (maximum >= 0),
    currency   text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    changed_by text not null,
    changed_at timestamptz not null default now(),
    check ((scope = 'all') = (of = ''))
);

create function in_scope(p_scope text, p_of text, p_team text, p_environment text, p_cost_centre text) returns boolean language sql immutable as $$
    select case p_scope when 'team' then p_of = p_team when 'environment' then p_of = p_environment when 'cost_centre' then p_of = p_cost_centre else true end
$$;

-- What counts against budgets now: of each service that is not destroyed, the dearest of what runs and what is under way. An order that failed counts while the service
-- still has resources. An order in flight counts as it was let pass.
create view committed as
    select distinct on (c.service_id, c.currency)
           c.service_id, c.order_id, c.team, c.environment, c.cost_centre, c.currency, c.monthly, o.finished_at is null as in_flight
      from commitment c
      join soma_api.orders o on o.id = c.order_id
      left join soma_api.services s on s.id = c.service_id
     where s.destroyed_at is null
       and (o.finished_at is null or o.state = 'ready' or coalesce(s.resources, 0) > 0)
       and (o.finished_at is null or not exists (select from commitment n join soma_api.orders m on m.id = n.order_id
                                                  where n.service_id = c.service_id and m.state = 'ready' and n.made_at > c.made_at))
     order by c.service_id, c.currency, c.monthly desc;

create view budget_use as
    select b.*, coalesce(sum(c.monthly) filter (where not c.in_flight), 0) as running, coalesce(sum(c.monthly) filter (where c.in_flight), 0) as in_flight
      from budget b
      left join committed c on c.currency = b.currency and in_scope(b.scope, b.of, c.team, c.environment, c.cost_centre)
     group by b.name;
