-- A list that an administrator has yet to give.
return function()
  if includes(data.forbidden_regions, "x") then return "denied" end
  return "BREACH"
end
