-- A key that is true.
return { [true] = "no", [2.5] = "no" }
