-- Rounds of approval: who was asked about which plan, who decided, with whose right; and rights handed over until a date.

alter table orders add column plan_digest bytea; -- key id and HMAC of what the plan changes; null: planned before there was one

-- One time that an order waited. A plan that came out different opens a new round.
create table approval (
    id          uuid primary key,
    order_id    uuid not null references orders on delete cascade,
    round       int not null,
    state       text not null check (state in ('waiting', 'approved', 'rejected', 'expired', 'canceled', 'replaced')),
    reason      text not null default '',
    plan        jsonb,                                 -- counts of the plan that was shown
    plan_digest bytea,                                 -- orders.plan_digest of that plan: only it is applied
    asked_at    timestamptz not null default clock_timestamp(),
    expires_at  timestamptz not null,
    reminded    int not null default 0,
    ended_at    timestamptz,
    unique (order_id, round)
);
create unique index approval_waiting on approval (order_id) where state = 'waiting';
create index approval_due on approval (expires_at) where state = 'waiting';

-- What the round needs: the demands of all gates, merged by role and team.
create table approval_asked (
    approval uuid not null references approval on delete cascade,
    role     text not null,
    team     text not null,                            -- '': everywhere
    count    int not null,
    gates    text[] not null,
    message  text not null default '',
    primary key (approval, role, team)
);

create table approval_decision (
    approval    uuid not null references approval on delete cascade,
    person      uuid not null,                         -- one person decides once
    person_name text not null,
    actor_name  text not null,                         -- the account that acted: the person, or their service account
    decision    text not null check (decision in ('approve', 'reject')),
    via         text not null check (via in ('api', 'link', 'slack')),
    comment     text not null default '',
    at          timestamptz not null default clock_timestamp(),
    primary key (approval, person)
);

-- What a decision counts for. A person counts once for a demand, and so does a right, whoever used it.
create table approval_vote (
    approval uuid not null,
    role     text not null,
    team     text not null,
    person   uuid not null,
    right_of uuid not null,                            -- the person, or who handed their right to them
    primary key (approval, role, team, person),
    unique (approval, role, team, right_of),
    foreign key (approval, role, team) references approval_asked on delete cascade,
    foreign key (approval, person) references approval_decision on delete cascade
);

create table approval_delegation (
    id          uuid primary key,
    from_person uuid not null references account,
    to_person   uuid not null references account,
    comment     text not null default '',
    until       timestamptz not null,
    created_at  timestamptz not null default now(),
    revoked_at  timestamptz,
    check (from_person <> to_person)
);
create index approval_delegation_to on approval_delegation (to_person) where revoked_at is null;
create index approval_delegation_from on approval_delegation (from_person);

-- What was decided before there were rounds, and what waits now.
insert into approval (id, order_id, round, state, plan, asked_at, expires_at, ended_at)
select gen_random_uuid(), a.order_id, 1, case a.decision when 'approve' then 'approved' else 'rejected' end, o.plan, a.at, a.at, a.at
  from order_approval a join orders o on o.id = a.order_id;
insert into approval (id, order_id, round, state, reason, plan, expires_at)
select gen_random_uuid(), o.id, 1, 'waiting', o.reason, o.plan, clock_timestamp() + interval '72 hours' from orders o where o.state = 'awaiting_approval';
insert into approval_asked (approval, role, team, count, gates)
select a.id, 'approver', o.team, 1, array['protected-environment'] from approval a join orders o on o.id = a.order_id;
insert into approval_decision (approval, person, person_name, actor_name, decision, via, comment, at)
select r.id, a.person::uuid, a.person_name, a.actor_name, a.decision, 'api', a.comment, a.at from order_approval a join approval r on r.order_id = a.order_id;
insert into approval_vote (approval, role, team, person, right_of)
select r.id, 'approver', o.team, a.person::uuid, a.person::uuid
  from order_approval a join approval r on r.order_id = a.order_id join orders o on o.id = a.order_id where a.decision = 'approve';
insert into approval_demand (order_id, point, gate, role, team, count, seconds)
select o.id, 'plan', 'protected-environment', 'approver', o.team, 1, 259200 from orders o
 where o.finished_at is null and exists (select from approval a where a.order_id = o.id) and not exists (select from approval_demand d where d.order_id = o.id);
drop table order_approval;

grant select, insert, update on approval to soma_app;
grant select, insert on approval_asked, approval_decision, approval_vote to soma_app;
grant select, insert on approval_delegation to soma_app;
grant update (revoked_at) on approval_delegation to soma_app;
