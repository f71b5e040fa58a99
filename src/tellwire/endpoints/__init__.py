"""The life of a webhook endpoint: validation, handshake, health, recovery and test events."""
