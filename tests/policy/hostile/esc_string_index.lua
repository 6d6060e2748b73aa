-- Texts have methods; where are they kept?
local t = ("").upper and ("").__index
t.upper = function() return "PWNED" end
return "contained"
