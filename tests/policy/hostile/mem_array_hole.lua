-- One element, far out.
local t = {}
t[2 ^ 52] = 1
t[math.maxinteger] = 1
return count(t) == 2 and "contained" or "BREACH"
