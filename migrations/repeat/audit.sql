-- The chain itself. These functions belong to the schema's owner and run with its rights where the node's role has none.

-- What is hashed behind the previous hash: a JSON array of texts and nulls, in this order. Anybody can compute it anew from the columns.
create or replace function soma.audit_canonical(e soma.audit_entry) returns text language sql stable set search_path = soma, pg_temp as
$$ select json_build_array(e.id::text, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), e.actor, e.actor_name, e.person, e.address, e.action, e.subject, e.team,
                           e.before_digest, e.after_digest, e.detail::text, e.request_id)::text $$;

create or replace function soma.audit_hash(e soma.audit_entry) returns bytea language sql stable set search_path = soma, pg_temp as
$$ select sha256(e.previous || convert_to(soma.audit_canonical(e), 'UTF8')) $$;

-- At commit: the pending entry takes the next place. The row lock on the head makes places follow commits.
create or replace function soma.audit_chain() returns trigger language plpgsql security definer set search_path = soma, pg_temp as $$
declare
    head soma.audit_head;
    e soma.audit_entry;
begin
    select * into strict head from soma.audit_head for update;
    e.id := head.id + 1;
    e.at := clock_timestamp();
    e.actor := new.actor; e.actor_name := new.actor_name; e.person := new.person; e.address := new.address; e.action := new.action; e.subject := new.subject; e.team := new.team;
    e.before_digest := new.before_digest; e.after_digest := new.after_digest; e.detail := new.detail; e.request_id := new.request_id;
    e.previous := head.hash;
    e.hash := soma.audit_hash(e);
    insert into soma.audit_entry values (e.*);
    update soma.audit_head set id = e.id, hash = e.hash;
    delete from soma.audit_pending where n = new.n;
    return null;
end $$;

drop trigger if exists audit_chain on soma.audit_pending;
create constraint trigger audit_chain after insert on soma.audit_pending deferrable initially deferred for each row execute function soma.audit_chain();

-- The owner, too, is stopped from what is most likely a mistake.
create or replace function soma.audit_refuse() returns trigger language plpgsql as $$
begin
    raise exception using errcode = 'SD403', message = 'the audit log is append-only';
end $$;

drop trigger if exists audit_refuse on soma.audit_entry;
create trigger audit_refuse before update or delete or truncate on soma.audit_entry for each statement execute function soma.audit_refuse();

-- The one way in. before and after are the state as text, of which only the digests stay.
create or replace function soma.audit_append(actor text, actor_name text, person text, address text, action text, subject text, team text,
                                             before text, after text, detail text, request_id text) returns void
language sql security definer set search_path = soma, pg_temp as
$$ insert into soma.audit_pending (actor, actor_name, person, address, action, subject, team, before_digest, after_digest, detail, request_id)
   values (actor, actor_name, person, address, action, subject, team, encode(sha256(convert_to(before, 'UTF8')), 'hex'), encode(sha256(convert_to(after, 'UTF8')), 'hex'),
           detail::json, request_id) $$;

create or replace function soma.audit_json(e soma.audit_entry) returns json language sql stable as
$$ select json_build_object('id', e.id, 'at', to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'actor', e.actor, 'actor_name', e.actor_name, 'person', e.person,
                            'address', e.address, 'action', e.action, 'subject', e.subject, 'team', e.team, 'before_digest', e.before_digest, 'after_digest', e.after_digest,
                            'detail', e.detail, 'request_id', e.request_id, 'hash', encode(e.hash, 'hex')) $$;

-- Checks the `most` places behind (after_id, after_hash). last_id is the last place that held; broken says what is wrong with the one behind it, if anything.
-- The head is read in the same snapshot: an end that was cut off shows, too.
create or replace function soma.audit_check(after_id bigint, after_hash bytea, most int)
returns table (last_id bigint, last_hash bytea, broken text, more boolean) language plpgsql stable set search_path = soma, pg_temp as $$
declare
    e soma.audit_entry;
    head soma.audit_head;
begin
    last_id := after_id;
    last_hash := after_hash;
    select * into head from soma.audit_head;
    for e in select * from soma.audit_entry a where a.id > after_id order by a.id limit most loop
        if e.id <> last_id + 1 then
            broken := format('entry %s is missing: entry %s comes next', last_id + 1, e.id);
        elsif e.previous <> last_hash then
            broken := format('entry %s (%s of %s by %s) does not follow the one before it: one of them was changed or replaced', e.id, e.action, e.subject, e.actor_name);
        elsif e.hash <> soma.audit_hash(e) then
            broken := format('entry %s (%s of %s by %s) was changed after it was written', e.id, e.action, e.subject, e.actor_name);
        end if;
        exit when broken is not null;
        last_id := e.id;
        last_hash := e.hash;
    end loop;
    more := broken is null and last_id = after_id + most;
    if broken is null and not more then
        if head.id is null or head.id < last_id then
            broken := format('the head does not know entry %s', last_id);
        elsif head.id > last_id then
            broken := format('entry %s is missing: the log was cut off behind entry %s', last_id + 1, last_id);
        elsif head.hash <> last_hash then
            broken := format('entry %s is not the one that the head knows', last_id);
        end if;
    end if;
    return next;
end $$;

revoke all on function soma.audit_chain(), soma.audit_append(text, text, text, text, text, text, text, text, text, text, text) from public;
grant execute on function soma.audit_append(text, text, text, text, text, text, text, text, text, text, text) to soma_app;
