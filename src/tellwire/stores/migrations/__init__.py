"""The history of the schema: one file in `versions` for every step, oldest first."""
