-- A gigabyte of blanks, were it allowed.
return #string.format("%999999999d", 1) > 0 and "BREACH" or "contained"
