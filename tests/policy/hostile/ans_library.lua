-- Hands out its surroundings.
return { string, table, math, _ENV }
