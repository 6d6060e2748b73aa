-- Leaves a global behind.
ipairs = function() return "BREACH" end
return "contained"
