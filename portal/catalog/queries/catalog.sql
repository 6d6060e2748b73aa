-- name: entity_put
insert into catalog_entity (ref, kind, namespace, name, team, entity, source) values ($1, $2, 'default', $3, $4, $5::jsonb, $6)
on conflict (ref) do update set team = excluded.team, entity = excluded.entity, updated_at = now() where catalog_entity.source = excluded.source
-- name: entity_remove_source
delete from catalog_entity where source = $1
