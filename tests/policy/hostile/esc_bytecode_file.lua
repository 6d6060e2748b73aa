Lua5.4 is what this claims to be
