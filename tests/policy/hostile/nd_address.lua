-- Where things lie differs from process to process.
return tostring({}) .. tostring(tostring) .. tostring(string)
