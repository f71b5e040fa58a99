"""The records by noun, the ledger, routing, rows and events: frozen values that everything else works with, and no I/O.

Times (`*_at`, and `Micros` in general) are integers: microseconds since 1970-01-01 UTC of our own clock.
Meta's times are integers of Unix seconds. Ids are UUIDv7 texts unless said otherwise.
JSON that is passed on verbatim is `bytes`.
"""
