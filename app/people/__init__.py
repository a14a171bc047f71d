"""The people of a knowledge base: who they are, what they may read, and what is kept for them."""
