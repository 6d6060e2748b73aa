-- Deep enough for whoever walks it by recursion.
local t = {}
for _ = 1, 1000 do t = { t } end
return t
