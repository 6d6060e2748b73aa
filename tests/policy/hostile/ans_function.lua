-- A function where words are expected.
return { message = function() return "BREACH" end }
