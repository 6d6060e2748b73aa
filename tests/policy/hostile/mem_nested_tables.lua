-- A list of itself, deeper and deeper.
local t = {}
while true do t = { t } end
