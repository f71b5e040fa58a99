"""Serve messages over REST: reading, sending and actions on one message."""
