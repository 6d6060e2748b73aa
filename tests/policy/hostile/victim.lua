-- Runs after a script that tried to change what others use.
local seen = {}
for _, v in ipairs({ "a", "b" }) do seen[#seen + 1] = v end
return ("abc"):upper() == "ABC" and string.upper("x") == "X" and #seen == 2 and "contained" or "BREACH somebody was here"
