-- The host's functions write, too.
return function(input)
  table.insert(input.user.roles, "platform-admin")
  return "BREACH wrote the input"
end
