-- Goes on as if nothing had happened.
pcall(function() error("the list of regions could not be read") end)
return "BREACH hid an error"
