-- name: token_load
-- By id ($2) or by hash; each way by its index, whatever plan is kept. The last column says that the time of last use is a minute old.
select a.id, a.name, o.id, o.name, a.kind = 'service_account', t.id, t.scopes, soma.auth_roles_text(a.id),
       case when a.owner is not null then soma.auth_roles_text(o.id) end,
       t.last_used_at is null or t.last_used_at < now() - interval '1 minute'
  from soma.api_token t join soma.account a on a.id = t.account join soma.account o on o.id = coalesce(a.owner, a.id)
 where t.id = coalesce($2::uuid, (select h.id from soma.api_token h where h.hash = $1::bytea))
   and t.revoked_at is null and t.expires_at > now() and a.disabled_at is null and o.disabled_at is null

-- name: token_touch
update soma.api_token set last_used_at = now() where id = $1::uuid and (last_used_at is null or last_used_at < now() - interval '1 minute')

-- name: session_load
select a.id, a.name, a.id, a.name, false, s.id, null, soma.auth_roles_text(a.id), null, s.seen_at < now() - interval '1 minute'
  from soma.session s join soma.account a on a.id = s.account
 where s.id = coalesce($2::uuid, (select h.id from soma.session h where h.hash = $1::bytea))
   and s.expires_at > now() and ($3::int = 0 or s.seen_at > now() - make_interval(mins => $3::int)) and a.disabled_at is null

-- name: session_touch
update soma.session set seen_at = now() where id = $1::uuid and seen_at < now() - interval '1 minute'

-- name: sign_in_take
select soma.sign_in_take(array[$1, $2], array[$3::float8, $4::float8], array[$5::float8, $6::float8])

-- name: sign_in_give_back
-- In the order of sign_in_take, so that the two never wait for each other crosswise.
with locked as (select key from soma.sign_in_bucket where key in ($1, $2) order by key for update)
update soma.sign_in_bucket b set tokens = b.tokens + 1 from locked where b.key = locked.key

-- name: password_get
select id, password from soma.account where name = $1 and kind = 'person' and disabled_at is null

-- name: password_set
update soma.account set password = $2 where id = $1::uuid and kind = 'person'

-- name: session_insert
insert into soma.session (id, hash, account, expires_at, address)
select $1::uuid, $2::bytea, a.id, now() + make_interval(hours => $4::int), $5 from soma.account a where a.id = $3::uuid and a.disabled_at is null

-- name: session_delete
delete from soma.session where id = $1::uuid

-- name: sessions_end
-- All sessions of an account but one (null: none is spared).
delete from soma.session where account = $1::uuid and ($2::uuid is null or id <> $2)

-- name: whoami
select json_build_object('id', a.id, 'name', a.name, 'kind', a.kind, 'title', a.title), soma.auth_roles_json(a.id),
       (select coalesce(json_agg(distinct b.team), '[]'::json) from soma.role_binding b where b.account = a.id and b.team is not null),
       (select json_build_object('id', t.id, 'name', t.name, 'scopes', t.scopes, 'expires_at', soma.auth_time(t.expires_at)) from soma.api_token t where t.id = $2::uuid),
       (select json_build_object('id', s.id, 'created_at', soma.auth_time(s.created_at), 'expires_at', soma.auth_time(s.expires_at)) from soma.session s where s.id = $3::uuid)
  from soma.account a where a.id = $1::uuid

-- name: account_find
select id, kind, owner, team, disabled_at is not null from soma.account where name = $1

-- name: account_json
select soma.auth_account_json(a), a.owner, a.team, a.id from soma.account a where a.name = $1 and a.kind = $2

-- name: account_lock
-- Two who change one account go one after the other.
select soma.auth_account_json(a), a.owner, a.team, a.id from soma.account a where a.name = $1 and a.kind = $2 for no key update

-- name: people_page
select soma.auth_account_json(a), a.name from soma.account a where a.kind = 'person' and ($1::text is null or a.name > $1) order by a.name limit $2::bigint

-- name: person_insert
insert into soma.account (id, kind, name, title, email, password) values ($1::uuid, 'person', $2, $3, $4, $5)

-- name: person_update
update soma.account set title = case when $2::boolean then $3 else title end, email = case when $4::boolean then $5 else email end where id = $1::uuid

-- name: account_disable
update soma.account set disabled_at = coalesce(disabled_at, now()) where id = $1::uuid

-- name: account_enable
update soma.account set disabled_at = null where id = $1::uuid

-- name: tokens_revoke_all
update soma.api_token set revoked_at = now() where account = $1::uuid and revoked_at is null

-- name: lock_admins
select soma.auth_lock_admins()

-- name: keep_admin
select soma.auth_keep_admin()

-- name: service_accounts_page
select soma.auth_account_json(a), a.name
  from soma.account a
 where a.kind = 'service_account' and ($1::text is null or a.name > $1)
   and ($3::jsonb is null or a.owner = $4::uuid or a.team in (select jsonb_array_elements_text($3::jsonb)))
 order by a.name limit $2::bigint

-- name: service_account_insert
insert into soma.account (id, kind, name, title, owner, team) values ($1::uuid, 'service_account', $2, $3, $4::uuid, $5)

-- name: teams_page
select soma.auth_team_json(t, false), t.name
  from soma.team t
 where ($1::text is null or t.name > $1) and ($3::jsonb is null or t.name in (select jsonb_array_elements_text($3::jsonb)))
 order by t.name limit $2::bigint

-- name: team_json
select soma.auth_team_json(t, true) from soma.team t where t.name = $1

-- name: team_insert
insert into soma.team (name, title, cost_centre) values ($1, $2, $3)

-- name: bindings_page
-- $5: all of them; else those of the account $6 and of the teams $7.
select soma.auth_binding_json(b), b.id
  from soma.role_binding b join soma.account a on a.id = b.account
 where ($1::uuid is null or b.id > $1) and ($3::text is null or a.name = $3) and ($4::text is null or b.team = $4)
   and ($5::boolean or b.account = $6::uuid or $7::jsonb is null or b.team in (select jsonb_array_elements_text($7::jsonb)))
 order by b.id limit $2::bigint

-- name: binding_json
select soma.auth_binding_json(b), b.account, b.team, b.role from soma.role_binding b where b.id = $1::uuid

-- name: binding_find
select b.id from soma.role_binding b where b.account = $1::uuid and b.role = $2 and b.team is not distinct from $3

-- name: binding_insert
insert into soma.role_binding (id, account, role, team) values ($1::uuid, $2::uuid, $3, $4)

-- name: binding_delete
delete from soma.role_binding where id = $1::uuid

-- name: tokens_page
-- Newest first; ids are sorted by time. $3: of one account; else those of the account $4 and of the service accounts that it owns.
select soma.auth_token_json(t), t.id
  from soma.api_token t join soma.account a on a.id = t.account
 where ($1::uuid is null or t.id < $1) and (case when $3::uuid is not null then t.account = $3 else t.account = $4::uuid or a.owner = $4::uuid end)
 order by t.id desc limit $2::bigint

-- name: token_json
select soma.auth_token_json(t), t.account, a.owner, a.name from soma.api_token t join soma.account a on a.id = t.account where t.id = $1::uuid

-- name: token_insert
-- The end is the earliest of what was asked for and what the caller's own token ($8) allows; the answer says whether what was asked for lies within the limits.
insert into soma.api_token (id, hash, account, name, scopes, expires_at)
select $1::uuid, $2::bytea, $3::uuid, $4, $5::jsonb, least(coalesce($6::timestamptz, now() + make_interval(secs => $7::int)), (select p.expires_at from soma.api_token p where p.id = $8::uuid))

-- name: token_end_is_fair
select $1::timestamptz > now() and $1::timestamptz <= now() + interval '366 days'

-- name: token_revoke
update soma.api_token set revoked_at = coalesce(revoked_at, now()) where id = $1::uuid

-- name: any_person
select exists (select from soma.account where kind = 'person')

-- name: identity_find
select a.id, a.name, a.disabled_at is not null from soma.account_identity i join soma.account a on a.id = i.account where i.issuer = $1 and i.subject = $2

-- name: identity_insert
insert into soma.account_identity (issuer, subject, account) values ($1, $2, $3::uuid)

-- name: audit_append
-- The audit domain's own function; the entry takes its place in the chain at commit.
select soma.audit_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: collect_sessions
delete from soma.session where id in (select id from soma.session where expires_at < now() order by expires_at limit 2000)

-- name: collect_tokens
delete from soma.api_token where id in (select id from soma.api_token where least(expires_at, revoked_at) < now() - interval '30 days' limit 2000)

-- name: collect_buckets
delete from soma.sign_in_bucket where key in (select key from soma.sign_in_bucket where at < now() - interval '1 day' limit 2000 for update skip locked)
