"""One module a file format; each has ``parse(path, source, options) -> Document``."""
