"""One module a family of commands; each function takes parsed arguments and settings and returns an exit code."""
