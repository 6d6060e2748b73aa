-- Sixty thousand pieces for each turn.
local s = ("a,"):rep(32768)
while true do s:split(",") end
