"""Stores: one schema, portable cold queries, and per dialect the few hot statements."""
