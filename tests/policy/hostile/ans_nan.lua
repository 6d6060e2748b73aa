-- Neither more nor less than anything.
return { cost = 0 / 0 }
