"""Queries that both databases run, one module a noun."""
