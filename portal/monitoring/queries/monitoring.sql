-- name: monitoring_put
insert into monitoring_service (service_id, name, team, environment, owner, template, exporter, labels, rules, dashboard)
values ($1::uuid, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10)
on conflict (service_id) do update
set name = excluded.name, team = excluded.team, environment = excluded.environment, owner = excluded.owner, template = excluded.template,
    exporter = excluded.exporter, labels = excluded.labels, rules = excluded.rules, dashboard = excluded.dashboard, updated_at = now()
-- name: monitoring_delete
delete from monitoring_service where service_id = $1::uuid
-- The address is the environment's of today: an exporter that moves takes its services along. A setting for the kind of exporter goes before the general one.
-- name: monitoring_targets
select address, string_agg(distinct environment, ',' order by environment), string_agg(distinct exporter, ',' order by exporter), string_agg(distinct name, ',' order by name)
from (select m.name, m.environment, m.exporter,
             coalesce(nullif(e.settings ->> ('exporter_' || replace(replace(m.exporter, '-', '_'), '.', '_')), ''), nullif(e.settings ->> 'exporter', '')) as address
      from monitoring_service m join environment e on e.name = m.environment
      where m.exporter <> '') w
where address is not null
group by address
order by address
-- name: monitoring_services
select name, team, environment, owner, template, labels::text from monitoring_service order by name
-- name: monitoring_all_rules
select rules from monitoring_service where rules <> '' order by name, service_id
-- name: monitoring_files
select team, rules, dashboard, md5(rules), md5(dashboard) from monitoring_service where name = $1 order by updated_at desc limit 1
