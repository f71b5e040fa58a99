"""Backups: one file that holds a database, its media and what is needed to know whether it can be restored."""
