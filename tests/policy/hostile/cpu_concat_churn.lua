-- Writes half a megabyte an instruction.
local s = ("x"):rep(65536)
s = s .. s .. s .. s .. s .. s .. s .. s
local n = 0
while true do
  local t = s .. n
  n = n + #t
end
