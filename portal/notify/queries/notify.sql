-- name: delivery_insert
insert into notify_delivery (id, kind, channel, address, person, about, data, sealed) values ($1, $2, $3, $4, $5, $6, coalesce($7::jsonb, '{}'), $8)
-- name: delivery_load
-- the row is this job's while its transaction lasts
select d.kind, d.channel, d.address, d.person, coalesce(a.name, ''), d.about, d.data, d.sealed, d.state, a.disabled_at is not null
  from notify_delivery d left join account a on a.id = d.person where d.id = $1 for update of d
-- name: delivery_tried
update notify_delivery set attempts = attempts + 1, error = $2 where id = $1
-- name: delivery_end
update notify_delivery set state = $2, error = $3, ended_at = clock_timestamp(), sealed = null where id = $1 and state = 'queued'
-- name: delivery_page
select delivery_json(d), d.id from notify_delivery d where ($1::text is null or d.state = $1) and ($2::uuid is null or d.id < $2::uuid) order by d.id desc limit $3
-- name: delivery_get
select delivery_json(d) from notify_delivery d where d.id = $1
-- name: delivery_collect
delete from notify_delivery where id in (select id from notify_delivery where created_at < now() - interval '90 days' and state <> 'queued' order by id limit 1000)
-- name: notify_person
select id, email, kind, disabled_at is not null from account where name = $1
-- name: slack_seen
insert into slack_request (digest) values ($1) on conflict do nothing
-- name: slack_forget
delete from slack_request where at < now() - interval '15 minutes'
-- name: slack_codes_forget
delete from slack_code where expires_at < now() - interval '1 day'
-- name: slack_person
select a.id, a.name from slack_user s join account a on a.id = s.person where s.user_id = $1 and s.team_id in ('', $2) and a.disabled_at is null and a.kind = 'person'
order by s.team_id desc limit 1
-- name: slack_link
insert into slack_user (person, user_id, team_id, linked_by) values ($1, $2, $3, $4)
on conflict (person) do update set user_id = excluded.user_id, team_id = excluded.team_id, linked_by = excluded.linked_by, created_at = now()
-- name: slack_link_json
select slack_user_json(s) from slack_user s where s.person = $1
-- name: slack_unlink
delete from slack_user where person = $1
-- name: slack_code_insert
insert into slack_code (hash, team_id, user_id, expires_at) values ($1, $2, $3, now() + interval '10 minutes')
-- name: slack_code_take
-- one use: who comes second finds it taken
update slack_code set used_at = now() where hash = $1 and used_at is null and expires_at > now() returning team_id, user_id
