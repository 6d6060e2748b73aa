-- name: event_append
insert into event (entity, team, type, data) values ($1, $2, $3, $4::json)

-- Both readers stay below the oldest running transaction: what is not yet committed there may still come with a smaller id.
-- name: event_read_all
select e.xid::text || '-' || e.id, e.entity, e.team, e.type, node_time(e.at), e.data
  from event e
 where (e.xid, e.id) > ($1::xid8, $2::bigint) and e.xid < pg_snapshot_xmin(pg_current_snapshot())
   and ($3::json is null or e.team = '' or e.team = any (array(select json_array_elements_text($3::json))))
 order by e.xid, e.id limit $4

-- name: event_read_entity
select e.xid::text || '-' || e.id, e.entity, e.team, e.type, node_time(e.at), e.data
  from event e
 where (e.xid, e.id) > ($1::xid8, $2::bigint) and e.xid < pg_snapshot_xmin(pg_current_snapshot())
   and ($3::json is null or e.team = '' or e.team = any (array(select json_array_elements_text($3::json))))
   and e.entity = $5
 order by e.xid, e.id limit $4

-- Whether a cursor has lost something: retention went past it, or this server never gave it out (another life of the database).
-- name: event_cursor_lost
select ($1::xid8, $2::bigint) < (h.xid, h.id) or $1::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) from event_horizon h

-- The cursor behind everything that is visible now.
-- name: event_cursor_now
select (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text || '-9223372036854775807'

-- name: event_trim
select event_trim($1::bigint * interval '1 ms', $2)

-- name: event_rebase
select event_rebase()

-- name: node_ready
select node_ready()

-- name: node_beat
select node_beat($1, $2, $3, $4, $5)

-- name: node_leave
delete from node_process where node_id = $1 and role = $2 and incarnation = $3

-- name: node_forget
delete from node_process where seen_at < clock_timestamp() - $1::bigint * interval '1 ms'

-- One NOTIFY outside every write transaction: it only wakes, so its text says nothing.
-- name: notify
select pg_notify('soma', '')

-- name: leader_take
select leader_take($1, $2, $3, $4)

-- name: leader_guard
select leader_guard($1, $2)

-- name: leader_leave
update leader set lease_until = clock_timestamp() where node_id = $1 and incarnation = $2 and lease_until > clock_timestamp()

-- A node is up while any of its processes is. `$1`: milliseconds without a heartbeat after which a process counts as away.
-- name: node_list
with process as (
    select p.*, p.seen_at > clock_timestamp() - $1::bigint * interval '1 ms' as up from node_process p)
select json_build_object('id', n.id, 'name', n.name, 'roles', json_agg(p.role order by p.role), 'version', (array_agg(p.version order by p.seen_at desc))[1],
                         'state', case when bool_or(p.up) then 'up' else 'away' end, 'seen_at', node_time(max(p.seen_at)),
                         'processes', json_agg(json_build_object('role', p.role, 'version', p.version, 'state', case when p.up then 'up' else 'away' end,
                                                                 'started_at', node_time(p.started_at), 'seen_at', node_time(p.seen_at)) order by p.role))
  from node n join process p on p.node_id = n.id group by n.id order by n.name, n.id
