-- Ends early for whoever takes it for a C string.
return "allow\0deny"
