"""How good answers, rankings, refusals and models are: pure functions over what was written and what was wanted."""
