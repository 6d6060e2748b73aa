-- Loads a library.
local io = require("io")
return io and "BREACH" or "contained"
