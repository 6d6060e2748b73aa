-- Tables as keys lie in the order of their addresses.
local t, out = {}, {}
for i = 1, 10 do t[{}] = i end
for _, v in pairs(t) do out[#out + 1] = v end
return table.concat(out, " ")
