-- The same without an assignment.
table.insert(math, "BREACH")
return "contained"
