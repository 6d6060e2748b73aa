-- Clears the screen of whoever reads it.
return "\27[2J\27]0;owned\7 fine"
