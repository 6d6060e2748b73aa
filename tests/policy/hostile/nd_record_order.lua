-- The order in which fields are seen.
return function(input)
  local out = {}
  for k in pairs(input) do out[#out + 1] = k end
  for k in pairs(input.resource) do out[#out + 1] = k end
  return table.concat(out, " ")
end
