-- ---- reading versions ----

-- name: version_current
select v.id, v.template, v.number, coalesce(t.repository, ''), v.commit_id, v.path, to_char(v.published_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), v.manifest::text,
       t.withdrawn_at is not null or t.repository is null
  from template t join template_version v on v.id = t.current
 where t.name = $1

-- name: version_by_id
select v.id, v.template, v.number, coalesce(t.repository, ''), v.commit_id, v.path, to_char(v.published_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), v.manifest::text, false
  from template_version v join template t on t.name = v.template
 where v.id = $1::uuid

-- name: version_files
select a.content, v.path, v.manifest->'spec'->>'module'
  from template_version v join template_archive a on a.digest = v.digest
 where v.id = $1::uuid

-- ---- repositories ----

-- name: repository_insert
insert into template_repository (name, url, ref, credentials, sealed, created_by) values ($1, $2, $3, $4, $5, $6)

-- name: repository_delete
with gone as (delete from template_repository where name = $1 returning url, ref)
select url, ref from gone

-- A repository went: a name that it held may be free for another one, which was refused it until now.
-- name: repositories_request_all
update template_repository set state = 'refreshing', requested_at = clock_timestamp(), checked = null returning name

-- name: templates_withdraw_all
update template set withdrawn_at = coalesce(withdrawn_at, clock_timestamp()), repository = null where repository = $1

-- name: repository_request
update template_repository set state = 'refreshing', requested_at = clock_timestamp(), checked = null where name = $1

-- The row is read before the fetch, which may take minutes: nothing is locked meanwhile. `started` tells at the end whether somebody asked again.
-- name: repository_load
select url, ref, sealed, sealed_version, coalesce(commit_id, ''), coalesce(checked, ''), clock_timestamp()::text from template_repository where name = $1

-- name: repository_secret
select sealed, sealed_version from template_repository where name = $1

-- Locks the repository while its findings are written: a removal in between waits, or has won already (no row).
-- name: repository_lock
select url, ref from template_repository where name = $1 for update

-- name: repository_done
update template_repository
   set state = case when requested_at > $2::timestamptz then 'refreshing' when $3::text is null then 'ready' else 'failed' end,
       problem = $3, commit_id = coalesce($4, commit_id), checked = case when requested_at > $2::timestamptz then null else coalesce($5, checked) end,
       failures = case when $3::text is null then 0 else failures + 1 end,
       refreshed_at = clock_timestamp(),
       next_at = clock_timestamp() + make_interval(secs => $6::float8 * case when $3::text is null then 1 else least(power(2, least(failures, 10)), 15) end)
 where name = $1

-- name: repositories_due
select name from template_repository where next_at <= clock_timestamp() order by next_at limit 200

-- name: repository_postpone
update template_repository set next_at = clock_timestamp() + make_interval(secs => $2::float8) where name = $1

-- name: repository_urls
select url from template_repository

-- ---- problems ----

-- name: problems_delete
delete from template_problem where repository = $1

-- name: problem_insert
insert into template_problem (repository, ordinal, path, line, reason) values ($1, $2, $3, $4, $5)

-- ---- publishing ----

-- name: template_ensure
insert into template (name, repository, path) values ($1, $2, $3) on conflict (name) do nothing

-- Locks the name, so that two repositories that offer it at once take turns.
-- name: template_lock
select coalesce(t.repository, ''), t.withdrawn_at is not null or t.repository is null, coalesce(encode(v.digest, 'hex'), ''), coalesce(t.current::text, ''), coalesce(v.number, 0)
  from template t left join template_version v on v.id = t.current
 where t.name = $1 for update of t

-- name: archive_insert
insert into template_archive (digest, content) values ($1, $2) on conflict (digest) do nothing

-- name: version_insert
insert into template_version (id, template, number, repository, commit_id, path, manifest, digest)
values ($1::uuid, $2, (select coalesce(max(number), 0) + 1 from template_version where template = $2), $3, $4, $5, $6::json, $7)
returning number

-- name: template_set
update template set repository = $2, path = $3, current = $4::uuid, withdrawn_at = null where name = $1

-- What left the repository. One whose manifest is broken now has not left.
-- name: templates_withdraw
update template set withdrawn_at = clock_timestamp()
 where repository = $1 and withdrawn_at is null and not (name = any (select json_array_elements_text($2::json))) and not (path = any (select json_array_elements_text($3::json)))
returning name

-- ---- the API ----

-- Documents are made here and copied through. Cards: what a list shows.
-- name: template_page
select json_build_object('name', t.name, 'title', coalesce(m->>'title', t.name), 'description', coalesce(m->>'description', ''), 'owner', s->>'owner', 'type', s->>'type',
           'tags', coalesce(m->'tags', '[]'), 'environments', s->'environments', 'typical_seconds', s->'typicalSeconds', 'repository', t.repository, 'path', t.path, 'state', 'ready',
           'version', v.number, 'version_id', v.id, 'commit', v.commit_id,
           'published_at', to_char(v.published_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text, t.name
  from template t join template_version v on v.id = t.current, lateral (select v.manifest->'metadata' as m, v.manifest->'spec' as s) x
 where t.withdrawn_at is null and t.repository is not null
   and ($1::text is null or position(lower($1) in lower(concat_ws(' ', t.name, m->>'title', m->>'description', m->>'tags', s->>'type', s->>'owner'))) > 0)
   and ($2::text is null or (m->'tags')::jsonb ? $2)
   and ($3::text is null or s->>'owner' = $3)
   and ($4::text is null or s->>'type' = $4)
   and ($5::text is null or t.name > $5)
 order by t.name limit $6

-- name: template_document
select json_build_object('name', t.name, 'title', coalesce(m->>'title', t.name), 'description', coalesce(m->>'description', ''), 'owner', s->>'owner', 'type', s->>'type',
           'tags', coalesce(m->'tags', '[]'), 'environments', s->'environments', 'typical_seconds', s->'typicalSeconds', 'repository', t.repository, 'path', v.path,
           'state', case when t.withdrawn_at is null and t.repository is not null then 'ready' else 'withdrawn' end,
           'version', v.number, 'version_id', v.id, 'commit', v.commit_id, 'published_at', to_char(v.published_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
           'parameters', s->'parameters', 'outputs', case when s->'repository' is null then coalesce(s->'outputs', '{}')
                else (coalesce(s->'outputs', '{}')::jsonb || '{"repository_url": {"title": "Repository", "sensitive": false}}')::json end, 'manifest', v.manifest,
           'versions', (select json_agg(json_build_object('id', o.id, 'number', o.number, 'commit', o.commit_id, 'repository', o.repository, 'path', o.path,
                                                          'published_at', to_char(o.published_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by o.number desc)
                          from (select * from template_version where template = t.name order by number desc limit 100) o))::text
  from template t join template_version v on v.id = t.current, lateral (select v.manifest->'metadata' as m, v.manifest->'spec' as s) x
 where t.name = $1

-- name: template_version_document
select json_build_object('id', v.id, 'name', v.template, 'number', v.number, 'commit', v.commit_id, 'repository', v.repository, 'path', v.path, 'parameters', v.manifest->'spec'->'parameters',
           'manifest', v.manifest, 'published_at', to_char(v.published_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text
  from template_version v where v.template = $1 and v.number = $2

-- name: repository_page
-- $3: with what only administrators see
select case when $3::boolean then soma.template_repository_document(r, false)::text else (soma.template_repository_document(r, false)::jsonb - 'credentials')::text end, r.name
  from template_repository r where ($1::text is null or r.name > $1) order by r.name limit $2

-- name: repository_document
select case when $2::boolean then soma.template_repository_document(r, true)::text else (soma.template_repository_document(r, true)::jsonb - 'credentials')::text end
  from template_repository r where r.name = $1
