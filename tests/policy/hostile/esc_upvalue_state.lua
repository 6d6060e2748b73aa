-- Answers differently the third time.
local calls = 0
return function()
  calls = calls + 1
  return "call " .. calls
end
