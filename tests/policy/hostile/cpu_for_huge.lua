-- Counts to nine quintillion.
for _ = 1, math.maxinteger do end
return "contained"
