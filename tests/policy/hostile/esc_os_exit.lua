-- Ends the server.
os.exit(0)
