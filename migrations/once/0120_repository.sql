-- The repository that a golden path made for a service, once it was pushed. It outlives the service.
create table service_repository (
    service_id uuid primary key references service,
    url        text not null,
    branch     text not null,
    commit     text not null,
    pushed_at  timestamptz not null default now()
);
grant select, insert on service_repository to soma_app;
