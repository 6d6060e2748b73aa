-- Sorts thousands of keys again and again.
local t = {}
for i = 1, 5000 do t["k" .. i] = i end
while true do for _ in pairs(t) do break end end
