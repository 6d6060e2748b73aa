-- What is watched of each service: its place at an exporter, and the rendered files. Kept from the order's monitoring step until the service is destroyed.
create table monitoring_service (
    service_id  uuid primary key,
    name        text not null,
    team        text not null,
    environment text not null,
    owner       text not null,
    template    text not null,
    exporter    text not null default '',             -- kind of exporter that the golden path asks for; '': none
    labels      jsonb not null default '{}',          -- text by text, e.g. {"datname": "orders-db"}
    rules       text not null default '',             -- begins with the line "groups:"; '': none
    dashboard   text not null default '',             -- JSON; '': none
    updated_at  timestamptz not null default now()
);
create index monitoring_service_name on monitoring_service (name);
grant select, insert, update, delete on monitoring_service to soma_app;
