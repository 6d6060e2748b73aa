-- roles is a list.
return function(input)
  if input.user.roles.dev then return "denied" end
  return "BREACH"
end
