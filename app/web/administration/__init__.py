"""Administration: collections and documents, people, the store, followed folders, models, settings and the log."""
