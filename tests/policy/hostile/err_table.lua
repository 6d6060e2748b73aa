-- An object instead of words.
error({ code = 1 })
