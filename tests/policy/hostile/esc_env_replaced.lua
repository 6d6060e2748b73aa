-- Leaves an environment of its own behind, for the next decision.
if not string then return "BREACH the last run's environment" end
_ENV = {}
return function() return "contained" end
