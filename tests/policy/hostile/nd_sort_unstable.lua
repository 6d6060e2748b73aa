-- Many equal keys; a pivot drawn by chance would show.
local t = {}
for i = 1, 300 do t[i] = { key = i % 3, n = i } end
table.sort(t, function(a, b) return a.key < b.key end)
local out = {}
for i, v in ipairs(t) do out[i] = v.n end
return table.concat(out, " ")
