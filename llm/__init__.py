"""Messages -> text, and models -> better models: registry, embedders, chat backends."""
