-- One long text.
local s = ("x"):rep(65536)
return s .. s
