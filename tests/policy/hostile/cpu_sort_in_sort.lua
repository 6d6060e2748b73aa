-- Each comparison sorts again.
local function compare(a, b)
  table.sort({ 2, 1 }, compare)
  return a < b
end
table.sort({ 2, 1 }, compare)
return "contained"
