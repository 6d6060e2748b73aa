-- What gates ask for before an order may be applied; and what a protected environment asks for.

alter table environment
    add column approval_count   int not null default 0 check (approval_count between 0 and 20),           -- 0: one
    add column approval_seconds bigint not null default 0 check (approval_seconds between 0 and 7776000), -- how long an order waits; 0: 72 h
    add column approval_team    text references team;                                                     -- whose approvers; null: the order's team

create table approval_demand (
    id       bigint generated always as identity primary key,
    order_id uuid not null references orders on delete cascade,
    point    text not null check (point in ('request', 'plan', 'destroy')),
    gate     text not null,
    role     text not null check (role in ('viewer', 'developer', 'approver', 'platform-admin')),
    team     text not null,                            -- '': everywhere (platform-admin)
    count    int not null check (count between 1 and 20),
    seconds  bigint not null check (seconds between 1 and 7776000),
    message  text not null default ''
);
create index approval_demand_order on approval_demand (order_id, id);

grant select, insert, delete on approval_demand to soma_app;
