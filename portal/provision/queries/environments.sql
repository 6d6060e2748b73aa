-- name: environment_list
-- $1: with what only administrators see
select case when $1::boolean then environment_json(e) else environment_json(e) - '{settings,credentials}'::text[] end from environment e order by name
-- name: environment_get
select case when $2::boolean then environment_json(e) else environment_json(e) - '{settings,credentials}'::text[] end, e.version from environment e where name = $1
-- name: environment_lock
-- the row is changed from its current version: writers of one environment follow each other
select version from environment where name = $1 for update
-- name: environment_unknown_teams
select t.at - 1, t.name from jsonb_array_elements_text($1::jsonb) with ordinality t (name, at) where not exists (select from team where team.name = t.name) order by t.at
-- name: environment_insert
insert into environment (name, title, settings, teams, require_approval, services_per_team, resources_per_team, max_running,
    approval_count, approval_seconds, approval_team)
values ($1, coalesce($2, ''), jsonb_strip_nulls(coalesce($3::jsonb, '{}')), $4::jsonb, coalesce($5::boolean, false), coalesce($6::int, 0), coalesce($7::int, 0), coalesce($8::int, 0),
    coalesce($9::int, 0), coalesce($10::bigint, 0), $11)
-- name: environment_update
update environment set title = coalesce($2, title), settings = jsonb_strip_nulls(settings || coalesce($3::jsonb, '{}')),
    teams = case when $9::boolean then $4::jsonb else teams end, require_approval = coalesce($5::boolean, require_approval),
    services_per_team = coalesce($6::int, services_per_team), resources_per_team = coalesce($7::int, resources_per_team),
    max_running = coalesce($8::int, max_running), approval_count = coalesce($10::int, approval_count), approval_seconds = coalesce($11::bigint, approval_seconds),
    approval_team = case when $12::boolean then $13 else approval_team end, version = version + 1, updated_at = now()
where name = $1
-- name: environment_delete
delete from environment where name = $1
-- name: environment_credential_put
insert into environment_credential (environment, name, version, sealed) values ($1, $2, $3, $4)
on conflict (environment, name) do update set version = excluded.version, sealed = excluded.sealed, updated_at = now()
-- name: environment_credential_version
select version + 1 from environment_credential where environment = $1 and name = $2
-- name: environment_credential_delete
delete from environment_credential where environment = $1 and name = $2
-- name: environment_credentials
select name, version, sealed from environment_credential where environment = $1 order by name
-- name: environment_for_order
select settings, teams, max_running from environment where name = $1
