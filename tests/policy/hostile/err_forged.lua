-- Would write a line of the log of its own.
error('no\n{"level":"info","msg":"order approved"}\27[2J')
