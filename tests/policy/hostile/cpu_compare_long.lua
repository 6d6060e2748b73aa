-- Compares megabytes that differ in the last byte.
local s = ("x"):rep(65536)
while #s < 1000000 do s = s .. s end
local a, b, n = s .. "a", s .. "b", 0
for _ = 1, 1000 do if a < b then n = n + 1 end end
return "contained"
