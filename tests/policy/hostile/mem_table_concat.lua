-- A list that names one long text many times.
local s, t = ("x"):rep(65536), {}
for i = 1, 1000 do t[i] = s end
return #table.concat(t) > 0 and "contained" or "contained"
