-- Never ends when printed.
local t = { message = "no" }
t.more = t
return t
