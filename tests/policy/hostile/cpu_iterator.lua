-- A generic for whose iterator always has one more.
for _ in function() return 1 end do end
return "contained"
