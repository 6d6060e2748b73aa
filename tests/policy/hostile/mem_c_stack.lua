-- A call of the host in each level.
local function down() return (select(2, pcall(down))) end
return down()
