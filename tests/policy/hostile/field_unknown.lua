-- `resource.type` is what was meant.
return function(input)
  if input.resource.typ == "database" then return "denied" end
  return "BREACH passed on a field that is not there"
end
