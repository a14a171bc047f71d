"""Chunks -> hits: store, dense, sparse, fusion."""
