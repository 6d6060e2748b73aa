-- Changes the limits for everybody.
return function()
  data.limit = 1000000
  return "BREACH wrote the data"
end
