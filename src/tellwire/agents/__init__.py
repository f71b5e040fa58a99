"""AI agents that answer customers: their turns, their tools and the models that they ask."""
