-- Keeps a closure of each turn.
local kept = {}
for i = 1, 100000000 do kept[i] = function() return i end end
return "contained"
