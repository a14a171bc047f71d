"""Files -> documents -> chunks: scan, parsers, chunking, pipeline."""
