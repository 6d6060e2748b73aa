-- One role more.
return function(input)
  input.user.roles[2] = "platform-admin"
  return "BREACH wrote the input"
end
