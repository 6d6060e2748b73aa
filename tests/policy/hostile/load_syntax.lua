-- A word too many.
return function(input)
  if input.user is nil then return "no" end
end
