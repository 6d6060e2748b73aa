-- name: secrets_stale
-- A page of sealed values of one registered column whose key is not the given one, in order of (row, version).
select row_id, row_version, value from soma.secrets_stale($1, $2, $3, $4, $5::bytea, $6, $7::bigint, $8::int)

-- name: secrets_replace
-- Only when nobody wrote the value meanwhile; whoever did has sealed it with a key of their own.
select soma.secrets_replace($1, $2, $3, $4, $5, $6::bigint, $7::bytea, $8::bytea)

-- name: secrets_count
select soma.secrets_count($1, $2, $3::bytea)
