-- name: idempotency_find
-- The age in seconds tells a claim whose process died from one that runs.
select id, digest, state, status, location, etag, body, body_sealed, extract(epoch from now() - claimed_at)::int, expires_at < now()
  from soma.idempotency_key where account = $1::uuid and method = $2 and path = $3 and key = $4

-- name: idempotency_claim
insert into soma.idempotency_key (id, account, method, path, key, digest, state, expires_at)
values ($1::uuid, $2::uuid, $3, $4, $5, $6::bytea, 'running', now() + interval '24 hours')
on conflict (account, method, path, key) do nothing

-- name: idempotency_retake
-- Of a claim whose process died, or of an answer past its day. The id is the claim: whoever held the old one can no longer record an answer. Waits for a transaction
-- that records just now, and then finds another state.
update soma.idempotency_key
   set id = $2::uuid, digest = $3::bytea, state = 'running', status = null, location = null, etag = null, body = null, body_sealed = null, claimed_at = now(),
       expires_at = now() + interval '24 hours'
 where id = $1::uuid and (expires_at < now() or (state = 'running' and claimed_at < now() - interval '60 seconds'))

-- name: idempotency_done
update soma.idempotency_key set state = 'done', status = $2::int, location = $3, etag = $4, body = $5::bytea, body_sealed = $6::bytea where id = $1::uuid and state = 'running'

-- name: idempotency_etag
update soma.idempotency_key set etag = $2 where id = $1::uuid and state = 'done'

-- name: idempotency_forget
delete from soma.idempotency_key where id = $1::uuid and state = 'running'

-- name: idempotency_collect
delete from soma.idempotency_key where id in (select id from soma.idempotency_key where expires_at < now() order by expires_at limit 2000)
