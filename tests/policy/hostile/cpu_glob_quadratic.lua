-- A long text against a long pattern that nearly fits everywhere.
local s = ("a"):rep(65536)
for _ = 1, 100 do
  if s:glob("*" .. ("a"):rep(30000) .. "b") then return "contained" end
end
return "contained"
