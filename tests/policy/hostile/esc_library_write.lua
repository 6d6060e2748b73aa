-- Puts its own function into a library.
string.upper = function() return "PWNED" end
return "contained"
