-- Makes itself an administrator.
return function(input)
  input.user.roles = { "platform-admin" }
  return "BREACH wrote the input"
end
