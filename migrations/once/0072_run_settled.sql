-- What an apply that was cut off had begun is known again, or named: then its journal counts no more.
alter table run add column settled_at timestamptz;
-- What may have been left behind and cannot be looked for: [{address, type, why}].
alter table service add column possibly_left jsonb not null default '[]';
update run r set settled_at = clock_timestamp() from orders o where o.id = r.order_id and r.phase = 'apply' and o.state = 'ready';
