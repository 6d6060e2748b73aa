-- name: repository_get
select url, branch, commit from service_repository where service_id = $1
-- name: repository_insert
insert into service_repository (service_id, url, branch, commit) values ($1, $2, $3, $4) on conflict (service_id) do nothing
-- name: repository_ordered_at
-- the commit's time: the same at every try, so that every try makes the same commit
select extract(epoch from created_at)::bigint from service where id = $1
-- name: repository_output
update service set outputs = outputs || jsonb_build_object('repository_url', jsonb_build_object('value', $2::text, 'sensitive', false, 'title', 'Repository')), version = version + 1
where id = $1
