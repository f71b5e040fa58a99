"""Stores: one schema, portable queries, and per dialect the few statements of the ledger and the outbox."""
