-- A million different names.
local t = {}
for i = 1, 10000000 do t["key number " .. i] = true end
return "contained"
