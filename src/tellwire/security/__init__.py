"""Addresses that may be reached, API keys, and secrets at rest."""
