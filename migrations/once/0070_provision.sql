-- Environments, services, orders and their runs: the road of portal/provision/README.md.

create table environment (
    name               text primary key,
    title              text not null default '',
    settings           jsonb not null default '{}',   -- text by text; reaches the module as var.soma.endpoints, "region" as var.soma.region
    teams              jsonb,                          -- names of the teams that may order here; null: all
    require_approval   boolean not null default false, -- the gate `protected-environment` asks for it
    services_per_team  int not null default 0 check (services_per_team >= 0),   -- 0: no limit
    resources_per_team int not null default 0 check (resources_per_team >= 0),
    max_running        int not null default 0 check (max_running >= 0),         -- orders worked on at once; 0: no limit
    version            bigint not null default 1,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now()
);

create table environment_credential (
    environment text not null references environment on delete cascade,
    name        text not null,                        -- the variable that the provider reads, e.g. PGPASSWORD
    version     bigint not null,
    id          text generated always as (environment || '/' || name) stored unique,
    sealed      bytea not null,                       -- (environment_credential, id, version)
    updated_at  timestamptz not null default now(),
    primary key (environment, name)
);

create table service (
    id               uuid primary key,
    name             text not null,
    template         text not null,
    template_version uuid not null,
    environment      text not null references environment,
    team             text not null,
    owner            text not null,                    -- login name of the person who ordered it
    cost_centre      text not null default '',
    state            text not null check (state in ('creating', 'ready', 'failed', 'changing', 'destroying', 'destroyed')),
    reason           text not null default '',
    parameters       jsonb not null,
    tags             jsonb not null default '{}',
    outputs          jsonb not null default '{}',      -- {name: {value, sensitive, title}}; a sensitive one has no value here
    sealed_values    bytea,                            -- what Soma generated (service, id, 0)
    sealed_outputs   bytea,                            -- sensitive outputs (service, id, outputs_version from 1)
    outputs_version  bigint not null default 0,
    resources        int not null default 0,           -- in the last state
    warning          text not null default '',         -- of the monitoring step
    current_order    uuid,
    version          bigint not null default 1,
    created_at       timestamptz not null default now(),
    ready_at         timestamptz,
    destroyed_at     timestamptz
);
-- A name belongs to one living service of the installation and is free again after its end.
create unique index service_name_alive on service (name) where state <> 'destroyed';
create index service_team on service (team, environment) where state <> 'destroyed';
create index service_created on service (id desc);

create table orders (
    id               uuid primary key,
    kind             text not null check (kind in ('create', 'destroy')),
    service_id       uuid references service,          -- null: plan only
    name             text not null,
    template         text not null,
    template_version uuid not null,
    environment      text not null references environment,
    team             text not null,
    actor            text not null,                    -- account that ordered
    actor_name       text not null,
    person           text not null,                    -- the person behind it: never approves this order
    person_name      text not null,
    cost_centre      text not null default '',
    parameters       jsonb not null,
    plan_only        boolean not null default false,
    state            text not null check (state in ('queued', 'checking', 'planning', 'awaiting_approval', 'applying', 'monitoring', 'registering', 'ready', 'failed', 'canceled')),
    reason           text not null default '',
    problem          jsonb,                            -- why it failed: {type, detail, diagnostics[]}
    prior_state      text,                             -- of the service, to go back to when a destroy is canceled
    plan             jsonb,                            -- {add, change, destroy, replace, changes[]}, masked
    sealed_values    bytea,                            -- of a plan-only order (orders, id, 0)
    version          bigint not null default 1,
    requested_at     timestamptz not null default now(),
    finished_at      timestamptz
);
create index orders_newest on orders (id desc);
create index orders_service on orders (service_id, id desc);
create index orders_name on orders (name, id desc);
create index orders_open on orders (state) where finished_at is null;

create table order_step (
    order_id uuid not null references orders on delete cascade,
    seq      int not null,
    state    text not null,
    at       timestamptz not null default clock_timestamp(),
    actor    text not null default 'system',
    reason   text not null default '',
    primary key (order_id, seq)
);

create table gate_decision (
    id       bigint generated always as identity primary key,
    order_id uuid references orders on delete cascade,
    service  text not null,
    point    text not null check (point in ('request', 'plan', 'destroy', 'reveal')),
    number   int not null,
    gate     text not null,
    outcome  text not null check (outcome in ('allow', 'warn', 'approve', 'deny')),
    message  text not null default '',
    detail   jsonb,
    at       timestamptz not null default clock_timestamp()
);
create index gate_decision_order on gate_decision (order_id, id);

create table order_approval (
    order_id    uuid primary key references orders on delete cascade,
    decision    text not null check (decision in ('approve', 'reject')),
    actor_name  text not null,
    person      text not null,
    person_name text not null,
    comment     text not null default '',
    at          timestamptz not null default clock_timestamp()
);

-- One process tree of the engine: a phase of an order on a node. `id` is the run's folder name there.
create table run (
    id             text primary key,
    order_id       uuid not null references orders on delete cascade,
    phase          text not null,
    node           text not null,
    fence          bigint not null,
    engine         text not null,
    engine_version text not null,
    providers      jsonb not null default '[]',        -- [{address, version, sha256}]
    serial_before  bigint not null,
    serial_after   bigint,
    outcome        text,                               -- ok | failed | stopped | swept
    journal        bytea,                              -- of a run that was cut off: engine's -json lines, sealed (run, id, 0)
    started_at     timestamptz not null default clock_timestamp(),
    ended_at       timestamptz
);
create index run_order on run (order_id, started_at);

create table terraform_state (
    service_id uuid not null references service on delete cascade,
    serial     bigint not null,
    lineage    text not null,
    sealed     bytea,                                  -- (terraform_state, service id, serial); null once the service is destroyed
    run        text not null,
    at         timestamptz not null default clock_timestamp(),
    primary key (service_id, serial)
);

create table saved_plan (
    order_id         uuid primary key references orders on delete cascade,
    sealed           bytea not null,                   -- (saved_plan, order id, state_serial): the engine's plan file
    sealed_json      bytea not null,                   -- (saved_plan, order id, state_serial): show -json, in clear inside
    state_serial     bigint not null,                  -- -1: no state yet
    template_version uuid not null,
    engine           text not null,
    engine_version   text not null,
    providers        jsonb not null,
    has_changes      boolean not null,
    at               timestamptz not null default clock_timestamp()
);

grant select, insert, update, delete on environment, environment_credential, saved_plan to soma_app;
grant select, insert, update on service, orders, order_step, gate_decision, order_approval, run, terraform_state to soma_app;
