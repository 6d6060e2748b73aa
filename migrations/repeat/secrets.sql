-- Sealed values by key, for rotation: the columns are registered by the domains, so the names come in as arguments. Bytes 2 to 5 of a sealed value are its key's id.
-- They run with the caller's rights: what the node may not read or write, it may not through these.
drop function if exists soma.secrets_stale(text, text, text, text, bytea, text, bigint, int);
create function soma.secrets_stale(tbl text, id text, version text, sealed text, active bytea, after_row text, after_version bigint, most int)
returns table (row_id text, row_version bigint, value bytea)
language plpgsql stable set search_path = soma, pg_temp as $$
declare
    number text := case when secrets_stale.version is null then '0::bigint' else format('%I::bigint', secrets_stale.version) end;
begin
    return query execute format(
        'select %1$I::text, %2$s, %3$I from soma.%4$I
          where %3$I is not null and substring(%3$I from 2 for 4) <> $1 and ($2 is null or (%1$I::text, %2$s) > ($2, $3))
          order by %1$I::text, %2$s limit $4', id, number, secrets_stale.sealed, tbl)
    using active, after_row, after_version, most;
end $$;

create or replace function soma.secrets_replace(tbl text, id text, version text, sealed text, row_id text, row_version bigint, old bytea, new bytea) returns boolean
language plpgsql set search_path = soma, pg_temp as $$
declare
    touched int;
begin
    execute format('update soma.%1$I set %2$I = $4 where %3$I::text = $1 and %2$I = $3 and (%4$L or %5$s = $2)',
                   tbl, sealed, id, version is null, case when version is null then '0' else format('%I::bigint', version) end)
    using row_id, row_version, old, new;
    get diagnostics touched = row_count;
    return touched > 0;
end $$;

create or replace function soma.secrets_count(tbl text, sealed text, key bytea) returns bigint
language plpgsql stable set search_path = soma, pg_temp as $$
declare
    n bigint;
begin
    execute format('select count(*) from soma.%1$I where substring(%2$I from 2 for 4) = $1', tbl, sealed) into n using key;
    return n;
end $$;

revoke all on function soma.secrets_stale(text, text, text, text, bytea, text, bigint, int), soma.secrets_replace(text, text, text, text, text, bigint, bytea, bytea),
    soma.secrets_count(text, text, bytea) from public;
grant execute on function soma.secrets_stale(text, text, text, text, bytea, text, bigint, int), soma.secrets_replace(text, text, text, text, text, bigint, bytea, bytea),
    soma.secrets_count(text, text, bytea) to soma_app;
