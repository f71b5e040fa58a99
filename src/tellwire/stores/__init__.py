"""Stores: one schema, queries for every database, and per database the few statements of the ledger and the outbox."""
