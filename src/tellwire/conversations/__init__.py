"""People, conversations and messages, as pure decisions over a ledger."""
