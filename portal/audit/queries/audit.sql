-- name: audit_append
select soma.audit_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)

-- name: audit_check
select last_id, last_hash, encode(last_hash, 'hex'), broken, more from soma.audit_check($1::bigint, $2::bytea, $3::int)

-- name: audit_anchor
select encode(hash, 'hex') from soma.audit_entry where id = $1::bigint

-- name: audit_page
-- $8: everything; else $9 are the teams that the reader may see (null: all of them), and entries without a team are not shown.
select soma.audit_json(e), e.id
  from soma.audit_entry e
 where ($1::text is null or e.action = $1)
   and ($2::text is null or e.action ~>=~ $2 and e.action ~<~ ($2 || chr(127)))
   and ($3::text is null or e.actor_name = $3 or e.person = $3)
   and ($4::text is null or e.subject = $4)
   and ($5::text is null or e.team = $5)
   and ($6::timestamptz is null or e.at >= $6)
   and ($7::timestamptz is null or e.at < $7)
   and ($8::boolean or (e.team is not null and ($9::jsonb is null or e.team in (select jsonb_array_elements_text($9::jsonb)))))
   and ($10::bigint is null or e.id < $10)
 order by e.id desc limit $11::bigint
