-- No character begins so.
return "\xff\xfe\x80"
