-- Each x becomes two.
local s = "x"
while true do s = s:replace("x", "xx") end
