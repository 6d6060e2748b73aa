-- What is read of accounts, as JSON text; and the rules that several transactions must agree on.

create or replace function soma.auth_time(t timestamptz) returns text language sql stable as
$$ select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

create or replace function soma.auth_roles_json(who uuid) returns json language sql stable as
$$ select coalesce(json_agg(json_build_object('id', b.id, 'role', b.role, 'team', b.team) order by b.team nulls first, b.role), '[]'::json)
     from soma.role_binding b where b.account = who $$;

-- Bindings in one text for the node's own use: "viewer:payments developer:" (nothing behind the colon: everywhere).
create or replace function soma.auth_roles_text(who uuid) returns text language sql stable as
$$ select coalesce(string_agg(b.role || ':' || coalesce(b.team, ''), ' '), '') from soma.role_binding b where b.account = who $$;

create or replace function soma.auth_account_json(a soma.account) returns json language sql stable as
$$ select case when a.kind = 'person'
     then json_build_object('id', a.id, 'name', a.name, 'title', a.title, 'email', a.email, 'state', case when a.disabled_at is null then 'active' else 'disabled' end,
                            'created_at', soma.auth_time(a.created_at), 'roles', soma.auth_roles_json(a.id))
     else json_build_object('id', a.id, 'name', a.name, 'title', a.title, 'team', a.team, 'owner', (select o.name from soma.account o where o.id = a.owner),
                            'state', case when a.disabled_at is null then 'active' else 'disabled' end,
                            'created_at', soma.auth_time(a.created_at), 'roles', soma.auth_roles_json(a.id)) end $$;

create or replace function soma.auth_team_json(t soma.team, with_members boolean) returns json language sql stable as
$$ select case when with_members
     then json_build_object('name', t.name, 'title', t.title, 'cost_centre', t.cost_centre, 'created_at', soma.auth_time(t.created_at), 'members',
            (select coalesce(json_agg(json_build_object('account', m.name, 'kind', m.kind, 'title', m.title, 'roles', m.roles) order by m.name), '[]'::json)
               from (select a.name, a.kind, a.title, json_agg(b.role order by b.role) as roles
                       from soma.role_binding b join soma.account a on a.id = b.account
                      where b.team = t.name and a.disabled_at is null group by a.id) m))
     else json_build_object('name', t.name, 'title', t.title, 'cost_centre', t.cost_centre, 'created_at', soma.auth_time(t.created_at)) end $$;

create or replace function soma.auth_binding_json(b soma.role_binding) returns json language sql stable as
$$ select json_build_object('id', b.id, 'account', a.name, 'kind', a.kind, 'role', b.role, 'team', b.team, 'created_at', soma.auth_time(b.created_at))
     from soma.account a where a.id = b.account $$;

create or replace function soma.auth_token_json(t soma.api_token) returns json language sql stable as
$$ select json_build_object('id', t.id, 'name', t.name, 'account', a.name, 'kind', a.kind, 'scopes', t.scopes,
                            'state', case when t.revoked_at is not null then 'revoked' when t.expires_at <= now() then 'expired' else 'active' end,
                            'created_at', soma.auth_time(t.created_at), 'expires_at', soma.auth_time(t.expires_at), 'last_used_at', soma.auth_time(t.last_used_at))
     from soma.account a where a.id = t.account $$;

-- Changes that might take away the last administrator go one after the other: two that each see the other's administrator would leave none.
create or replace function soma.auth_lock_admins() returns void language sql as
$$ select pg_advisory_xact_lock(hashtext('soma.auth.admins')) $$;

create or replace function soma.auth_keep_admin() returns void language plpgsql stable as $$
begin
    if not exists (select from soma.role_binding b join soma.account a on a.id = b.account
                    where b.role = 'platform-admin' and b.team is null and a.kind = 'person' and a.disabled_at is null) then
        raise exception using errcode = 'SC409', message = 'this would leave nobody with the role platform-admin: give it to somebody else first';
    end if;
end $$;

-- Takes one attempt out of each bucket, or none at all: the answer is 0, or the seconds until all of them have one. Keys come in one order from everybody.
create or replace function soma.sign_in_take(keys text[], bursts double precision[], rates double precision[]) returns int language plpgsql as $$
declare
    left_over double precision;
    since timestamptz;
    filled double precision[] := '{}';
    waits int := 0;
    moment timestamptz := clock_timestamp();
begin
    for i in 1 .. array_length(keys, 1) loop
        insert into soma.sign_in_bucket (key, tokens, at) values (keys[i], bursts[i], moment) on conflict (key) do nothing;
        select b.tokens, b.at into left_over, since from soma.sign_in_bucket b where b.key = keys[i] for update;
        left_over := least(bursts[i], left_over + greatest(0, extract(epoch from moment - since)) * rates[i]);
        filled := filled || left_over;
        if left_over < 1 then
            waits := greatest(waits, ceil((1 - left_over) / rates[i])::int);
        end if;
    end loop;
    if waits = 0 then
        for i in 1 .. array_length(keys, 1) loop
            update soma.sign_in_bucket b set tokens = filled[i] - 1, at = moment where b.key = keys[i];
        end loop;
    end if;
    return waits;
end $$;
