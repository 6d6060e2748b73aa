-- name: sessions_owner
-- on the workloads server: statements that make us a member of the owner's role and end that again; whether we are one already
select format('grant %I to current_user', r.rolname), format('revoke %I from current_user', r.rolname), pg_has_role(current_user, d.datdba, 'usage')
from pg_catalog.pg_database d join pg_catalog.pg_roles r on r.oid = d.datdba where d.datname = $1
-- name: sessions_shut
-- statements; the roles first, because an owner that is still inside may open its database again but may not let itself sign in
select format('alter role %I nologin', rolname) from pg_catalog.pg_roles where $2::jsonb ? rolname::text and rolcanlogin and rolname <> current_user
union all
select format('alter database %I with allow_connections false', datname) from pg_catalog.pg_database where datname = $1 and datallowconn
-- name: sessions_end
-- how many were told to end, and of which superusers some stay
select count(*) filter (where case when r.rolsuper then false else pg_catalog.pg_terminate_backend(a.pid) end), string_agg(distinct r.rolname, ', ') filter (where r.rolsuper)
from pg_catalog.pg_stat_activity a join pg_catalog.pg_roles r on r.oid = a.usesysid where a.datname = $1 and a.pid <> pg_catalog.pg_backend_pid()
