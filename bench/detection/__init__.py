"""Detection on labelled traffic: a seeded generator of it, and a scoreboard of what a policy does to
it."""
