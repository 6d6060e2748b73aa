-- Takes the hook away.
debug.sethook()
while true do end
