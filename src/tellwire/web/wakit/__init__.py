"""Serve wakit's interface over our use cases (docs/reference/wakit.md)."""
