-- The worst case of a simple search.
local s, part = ("a"):rep(65536), ("a"):rep(32768) .. "b"
for _ = 1, 1000 do s:contains(part) end
return "contained"
