-- Harmless until it is asked.
return function()
  repeat until false
end
