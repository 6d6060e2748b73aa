-- The service catalog: entities in Backstage's envelope, by reference kind:namespace/name.
create table catalog_entity (
    ref         text primary key,                 -- "resource:default/orders-db"
    kind        text not null,
    namespace   text not null,
    name        text not null,
    team        text not null default '',
    entity      jsonb not null,                   -- apiVersion, kind, metadata, spec, relations
    source      text not null,                    -- who keeps it: "service:<id>"
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);
create index catalog_entity_team on catalog_entity (team, kind, name);
grant select, insert, update, delete on catalog_entity to soma_app;
