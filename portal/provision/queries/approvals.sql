-- name: demands_forget
delete from approval_demand where order_id = $1 and point = $2
-- name: demand_put
insert into approval_demand (order_id, point, gate, role, team, count, seconds, message) values ($1, $2, $3, $4, $5, $6, $7, $8)
-- name: demand_team
select exists (select from team where name = $1)
