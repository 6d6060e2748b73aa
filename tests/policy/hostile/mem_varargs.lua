-- Each call has twice as many.
local function twice(...) return twice(..., ...) end
local function grow(t)
  for i = #t + 1, 2 * #t do t[i] = i end
  return grow(t, table.unpack(t))
end
return grow({ 1 })
