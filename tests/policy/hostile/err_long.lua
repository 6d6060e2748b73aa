-- Sixty thousand letters.
error(("x"):rep(60000))
