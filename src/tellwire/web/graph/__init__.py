"""Serve `/graph/vNN.N/…`: Meta's Graph API as bots call it, over our own rows, limits and keys.

Source: docs/reference/graph-api.md.
"""
