-- A repository as the API shows it; `full` with its problems and golden paths.
create or replace function soma.template_repository_document(r soma.template_repository, full_text boolean) returns json
language sql stable set search_path = soma, pg_temp as $$
    select json_build_object('name', r.name, 'url', r.url, 'ref', r.ref, 'credentials', nullif(r.credentials, ''), 'state', r.state, 'problem', r.problem, 'commit', r.commit_id,
        'requested_at', to_char(r.requested_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'refreshed_at', to_char(r.refreshed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'created_at', to_char(r.created_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'created_by', r.created_by,
        'problem_count', (r.problem is not null)::int + (select count(*) from template_problem p where p.repository = r.name),
        'problems', case when full_text then coalesce((select json_agg(json_build_object('path', p.path, 'line', p.line, 'reason', p.reason) order by p.ordinal)
                                                         from (select -1 as ordinal, '' as path, 0 as line, r.problem as reason where r.problem is not null
                                                               union all select ordinal, path, line, reason from template_problem where repository = r.name) p), '[]'::json) end,
        'templates', case when full_text then coalesce((select json_agg(t.name order by t.name) from template t where t.repository = r.name and t.withdrawn_at is null), '[]'::json) end)
$$;
revoke all on function soma.template_repository_document(soma.template_repository, boolean) from public;
grant execute on function soma.template_repository_document(soma.template_repository, boolean) to soma_app;
