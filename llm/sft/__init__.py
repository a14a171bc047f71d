"""Supervised fine-tuning of the generator: examples of conversations -> an adapter, or a whole model."""
