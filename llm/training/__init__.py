"""Data -> records -> grounded examples: what the models are trained and measured on."""
