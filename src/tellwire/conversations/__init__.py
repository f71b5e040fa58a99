"""Decide about people, conversations and messages: pure functions over a ledger."""
