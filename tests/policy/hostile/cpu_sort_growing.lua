-- Adds to the list while it is being sorted.
local t = { 3, 1, 2 }
for i = 1, 100 do t[i] = 100 - i end
table.sort(t, function(a, b)
  t[#t + 1] = a
  return a < b
end)
return "contained"
