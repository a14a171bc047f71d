"""Administration of quality: how it goes, what people thought, evaluations, and blind trials."""
