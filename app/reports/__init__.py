"""Reports of evaluations: what they say, their plots, and how they are written in Markdown and HTML."""
