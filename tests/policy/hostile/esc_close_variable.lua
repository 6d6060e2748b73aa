-- A variable to be closed needs a metatable.
return function(input)
  local x <close> = input
  return "contained"
end
