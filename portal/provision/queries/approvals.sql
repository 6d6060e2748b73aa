-- name: demands_forget
delete from approval_demand where order_id = $1 and point = $2
-- name: demand_put
insert into approval_demand (order_id, point, gate, role, team, count, seconds, message) values ($1, $2, $3, $4, $5, $6, $7, $8)
-- name: demand_team
select exists (select from team where name = $1)
-- name: demand_words
select string_agg(gate || case when message <> '' then ': ' || message else '' end, '; ' order by id) from approval_demand where order_id = $1
-- name: approval_digest_key
-- the key of the digest that a newer plan is held against
select a.plan_digest from approval a where a.order_id = $1 and a.plan_digest is not null order by a.round desc limit 1
-- name: approval_carried
-- an approved round about this very plan, whose decisions meet what is asked for now
select a.id from approval a join orders o on o.id = a.order_id
 where a.order_id = $1 and a.state = 'approved' and a.plan_digest = o.plan_digest
   and not exists (select from (select role, team, max(count) as count from approval_demand where order_id = $1 group by role, team) w
                    where w.count > (select count(distinct v.person) from approval_vote v where v.approval = a.id and v.role = w.role and v.team = w.team))
 order by a.round desc limit 1
-- name: approval_replace
update approval set state = 'replaced', ended_at = clock_timestamp() where order_id = $1 and state in ('approved', 'waiting')
-- name: approval_open
insert into approval (id, order_id, round, state, reason, plan, plan_digest, expires_at)
select $1, o.id, coalesce((select max(a.round) from approval a where a.order_id = o.id), 0) + 1, 'waiting', $3, o.plan - 'changes', o.plan_digest,
       clock_timestamp() + (select min(seconds) from approval_demand d where d.order_id = o.id) * interval '1 second'
  from orders o where o.id = $2
-- name: approval_ask
insert into approval_asked (approval, role, team, count, gates, message)
select $1, role, team, max(count), array_agg(distinct gate), coalesce(string_agg(distinct nullif(message, ''), '; '), '') from approval_demand where order_id = $2 group by role, team
-- name: approval_get
select approval_json(a), a.order_id from approval a where a.id = $1
-- name: approval_fits
-- whether anything was asked for; whether what is about to be applied was approved; whether an apply has begun
select exists (select from approval_demand d where d.order_id = $1),
       exists (select from approval a join orders o on o.id = a.order_id where a.order_id = $1 and a.state = 'approved' and a.plan_digest is not distinct from o.plan_digest),
       exists (select from run r where r.order_id = $1 and r.phase = 'apply')
-- name: approval_close
-- the order goes on from where it waited: its round has ended
update approval set state = $2, reason = $3, ended_at = clock_timestamp() where order_id = $1 and state = 'waiting' returning id
-- name: approval_expire
update approval set state = 'expired', reason = $2, ended_at = clock_timestamp() where id = $1 and state = 'waiting'
-- name: approval_waiting
-- the order's row is locked, so nobody else decides meanwhile
select a.id, a.expires_at <= clock_timestamp(), rfc3339(a.expires_at), a.round from approval a where a.order_id = $1 and a.state = 'waiting'
-- name: approval_decided
select decision from approval_decision where approval = $1 and person = $2
-- name: approval_asked_of
select role, team, count, (select count(distinct v.person) from approval_vote v where v.approval = d.approval and v.role = d.role and v.team = d.team) from approval_asked d
where approval = $1 order by role, team
-- name: approval_rights
select role, team, right_of from approval_rights($1, $2, $3::jsonb, $4)
-- name: approval_right_used
-- who used this person's right
select x.person_name from approval_vote v join approval_decision x on x.approval = v.approval and x.person = v.person where v.approval = $1 and v.right_of = $2 and v.person <> $2 limit 1
-- name: approval_decide
insert into approval_decision (approval, person, person_name, actor_name, decision, via, comment) values ($1, $2, $3, $4, $5, $6, $7)
-- name: approval_vote
insert into approval_vote (approval, role, team, person, right_of) select $1, r.role, r.team, $2, r.right_of from approval_rights($1, $2, $3::jsonb, $4) r
-- name: approval_missing
-- how many more decisions the round needs at least
select coalesce(max(d.count - (select count(distinct v.person) from approval_vote v where v.approval = d.approval and v.role = d.role and v.team = d.team)), 0)
  from approval_asked d where d.approval = $1
-- name: approval_words
select string_agg(person_name || case when comment <> '' then ': ' || comment else '' end, '; ' order by at) from approval_decision where approval = $1 and decision = 'approve'
-- name: approval_touch
update orders set version = version + 1 where id = $1
-- name: approval_concerns
select approval_concerns($1, $2)
-- name: approval_page
-- $3: what waits for me; else all of the teams $1 and what I am asked about
select approval_item_json(a, o, m.mine), a.id
  from approval a join orders o on o.id = a.order_id
 cross join lateral (select a.state = 'waiting' and not exists (select from approval_decision x where x.approval = a.id and x.person = $4)
                            and exists (select from approval_rights(a.id, $4, null, true)) as mine) m
 where (case when $3::boolean then a.state = 'waiting' and m.mine
             else ($1::jsonb is null or $1::jsonb ? o.team or approval_concerns(o.id, $4)) and ($2::text is null or a.state = $2) end)
   and ($5::text is null or o.team = $5) and ($6::uuid is null or a.id < $6::uuid)
 order by a.id desc limit $7
-- name: approval_item
select approval_item_json(a, o, a.state = 'waiting' and not exists (select from approval_decision x where x.approval = a.id and x.person = $2)
                                and exists (select from approval_rights(a.id, $2, null, true))), o.id, o.team
  from approval a join orders o on o.id = a.order_id where a.id = $1
-- name: approval_due
select a.id, a.order_id, a.expires_at <= clock_timestamp() from approval a
 where a.state = 'waiting' and (a.expires_at <= clock_timestamp()
    or a.reminded < 1 and clock_timestamp() >= a.asked_at + (a.expires_at - a.asked_at) / 2
    or a.reminded < 2 and a.expires_at - a.asked_at > interval '48 hours' and clock_timestamp() >= a.expires_at - interval '24 hours')
 order by a.expires_at limit 200
-- name: approval_remind
update approval set reminded = case when clock_timestamp() >= expires_at - interval '24 hours' and expires_at - asked_at > interval '48 hours' then 2 else 1 end
where id = $1 and state = 'waiting' returning reminded, rfc3339(expires_at)
-- name: delegation_insert
insert into approval_delegation (id, from_person, to_person, comment, until) values ($1, $2, $3, $4, $5::timestamptz)
-- name: delegation_time_is_fair
select $1::timestamptz > now() and $1::timestamptz <= now() + interval '366 days'
-- name: delegation_person
select id, kind, disabled_at is not null from account where name = $1
-- name: delegation_get
select delegation_json(g), g.from_person, g.to_person from approval_delegation g where g.id = $1
-- name: delegation_lock
-- two who revoke it follow each other
select delegation_json(g), g.from_person, g.to_person from approval_delegation g where g.id = $1 for update
-- name: delegation_revoke
update approval_delegation set revoked_at = coalesce(revoked_at, now()) where id = $1
-- name: delegation_page
select delegation_json(g), g.id from approval_delegation g
 where ($1::boolean or g.from_person = $2 or g.to_person = $2) and ($3::uuid is null or g.id < $3::uuid) order by g.id desc limit $4
-- name: approval_counts
select count(*), coalesce(extract(epoch from clock_timestamp() - min(asked_at)), 0)::bigint from approval where state = 'waiting'
-- name: order_take_version
update orders set template_version = $2, parameters = $3::jsonb, version = version + 1 where id = $1
-- name: service_take_version
update service set template_version = $2, parameters = $3::jsonb, sealed_values = $4, version = version + 1 where id = $1
-- name: approval_view
select a.id, a.state, (select coalesce(string_agg(nullif(d.message, ''), '; '), '') from approval_asked d where d.approval = a.id), rfc3339(a.expires_at), o.id, o.kind, o.name, o.template, o.environment,
       o.team, o.person_name, o.actor_name, o.person, coalesce(order_price(o.id), ''), case when a.state = 'waiting' then '' else a.reason end, a.expires_at <= clock_timestamp(), o.plan,
       approval_json(a) -> 'demands', approval_json(a) -> 'decisions'
  from approval a join orders o on o.id = a.order_id where a.id = $1
-- name: approval_recipients
-- who can still count; those who may do everything anyway only where nobody else is asked
with can as (
    select a.id, a.email, s.user_id,
           exists (select from approval_asked d join role_binding b on b.account = a.id
                    where d.approval = $1 and (b.role = d.role or d.role = 'viewer') and (b.team is null or b.team = d.team))
           or exists (select from approval_delegation g where g.to_person = a.id and g.revoked_at is null and g.until > now()) as asked
      from account a left join slack_user s on s.person = a.id
     where a.kind = 'person' and a.disabled_at is null and exists (select from approval_rights($1, a.id, null, true))
       and not exists (select from approval_decision x where x.approval = $1 and x.person = a.id)
       and exists (select from approval r where r.id = $1 and r.state = 'waiting'))
select id, email, user_id from can where asked or not exists (select from can o where o.asked) order by id limit 100
-- name: approval_orderer
select p.id, p.email, s.user_id from approval a join orders o on o.id = a.order_id join account p on p.id::text = o.person left join slack_user s on s.person = p.id
 where a.id = $1 and a.state in ('approved', 'rejected', 'expired') and p.disabled_at is null
-- name: link_insert
insert into approval_link (hash, approval, person, expires_at) select $1, a.id, $3, a.expires_at from approval a where a.id = $2
-- name: link_get
select l.approval, l.person, p.name, l.used_at is not null, p.disabled_at is not null, l.expires_at <= clock_timestamp() from approval_link l join account p on p.id = l.person where l.hash = $1
-- name: link_take
-- used once: the second of two waits for the first and then finds it used
update approval_link set used_at = clock_timestamp() where hash = $1 and used_at is null and expires_at > clock_timestamp()
