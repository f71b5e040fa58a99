"""Serve files over REST: their rows, their bytes and uploads."""
