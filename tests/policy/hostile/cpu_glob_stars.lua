-- Thirty stars and a letter that is not there.
local s = ("a"):rep(60000)
return s:glob(("*a"):rep(30) .. "*b") and "contained" or "contained"
