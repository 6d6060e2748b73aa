-- Echoes what it was given.
return function(input) return { message = "echo", echo = input.user } end
