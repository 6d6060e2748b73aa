-- Functions of nodes, leadership and the event log.

create or replace function node_time(t timestamptz) returns text
language sql immutable as $$ select to_char(t at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- What readiness asks: that this server takes writes and runs our functions, which `select 1` does not show.
create or replace function node_ready() returns boolean
language sql volatile as $$
    select not pg_is_in_recovery() and not current_setting('transaction_read_only')::boolean and exists (select from soma.event_horizon)
$$;

-- A process says that it lives. A row of an earlier incarnation is overwritten: one process a node and role.
create or replace function node_beat(p_node text, p_name text, p_role text, p_incarnation uuid, p_version text) returns void
language plpgsql as $$
begin
    update soma.node_process p set seen_at = clock_timestamp() where p.node_id = p_node and p.role = p_role and p.incarnation = p_incarnation;
    if found then
        return;
    end if;
    insert into soma.node (id, name) values (p_node, p_name) on conflict (id) do update set name = excluded.name;
    insert into soma.node_process as p (node_id, role, incarnation, version) values (p_node, p_role, p_incarnation, p_version)
    on conflict (node_id, role) do update
        set incarnation = excluded.incarnation, version = excluded.version, started_at = excluded.started_at, seen_at = excluded.seen_at;
end $$;

-- Takes or renews leadership of a topic; the term, or null when another leads. The row is the lease: taken only after it ran out by this
-- database's clock, and each taking is a new term.
create or replace function leader_take(p_topic text, p_node text, p_incarnation uuid, p_lease_ms bigint) returns bigint
language plpgsql as $$
declare
    v_term bigint;
    v_until timestamptz := clock_timestamp() + p_lease_ms * interval '1 ms';
begin
    -- Renewal: an update of non-key columns, which passes a leader_guard.
    update soma.leader l set lease_until = v_until
     where l.topic = p_topic and l.node_id = p_node and l.incarnation = p_incarnation and l.lease_until >= clock_timestamp()
    returning l.term into v_term;
    if found then
        return v_term;
    end if;
    -- Taking over waits for nobody: FOR UPDATE is refused by a leader_guard of the old term that is still in its transaction, and by who takes at
    -- this moment; then we simply do not lead. Also our own lease, once it ran out, begins a new term.
    update soma.leader l set node_id = p_node, incarnation = p_incarnation, term = l.term + 1, lease_until = v_until
     where l.topic in (select k.topic from soma.leader k where k.topic = p_topic and k.lease_until < clock_timestamp() for update skip locked)
    returning l.term into v_term;
    if found then
        return v_term;
    end if;
    insert into soma.leader (topic, node_id, incarnation, term, lease_until) values (p_topic, p_node, p_incarnation, 1, v_until)
    on conflict do nothing returning leader.term into v_term;
    return v_term;
end $$;

-- For a leader's write: SF001 unless the term is still the current one. FOR KEY SHARE to the end of the transaction: renewals pass, a takeover
-- does not.
create or replace function leader_guard(p_topic text, p_term bigint) returns void
language plpgsql as $$
begin
    perform from soma.leader l where l.topic = p_topic and l.term = p_term for key share;
    if not found then
        raise exception using errcode = 'SF001', message = 'this node no longer leads: another took over in a newer term';
    end if;
end $$;

-- Deletes events older than the given age from the front of the log, at most p_limit, and moves the horizon in the same transaction, so that
-- no reader misses them unsaid. Returns how many.
create or replace function event_trim(p_age interval, p_limit int) returns int
language plpgsql as $$
declare
    v_n int;
    v_xid xid8;
    v_id bigint;
begin
    -- The horizon's row makes trims wait for each other.
    perform from soma.event_horizon for update;
    with front as (
        select e.xid, e.id, e.at from soma.event e where e.xid < pg_snapshot_xmin(pg_current_snapshot()) order by e.xid, e.id limit p_limit),
    gone as (
        delete from soma.event e using front f where e.xid = f.xid and e.id = f.id and f.at < clock_timestamp() - p_age returning e.xid, e.id)
    select count(*) over (), g.xid, g.id into v_n, v_xid, v_id from gone g order by g.xid desc, g.id desc limit 1;
    if v_n is null then
        return 0;
    end if;
    update soma.event_horizon h set xid = v_xid, id = v_id;
    return v_n;
end $$;

-- After the database was restored from a dump into a new server its transaction numbers may begin below those in the log: such events would be
-- invisible for long. They become the oldest ones; cursors from before the restore then meet the horizon and get a gap.
create or replace function event_rebase() returns bigint
language plpgsql as $$
declare
    v_n bigint;
begin
    perform from soma.event_horizon for update;
    if not exists (select from soma.event e where e.xid >= pg_snapshot_xmax(pg_current_snapshot())) then
        return 0;
    end if;
    update soma.event e set xid = '3';
    get diagnostics v_n = row_count;
    update soma.event_horizon h set xid = '3', id = 0;
    return v_n;
end $$;
