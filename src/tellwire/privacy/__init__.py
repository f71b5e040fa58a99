"""Removes data: erasure of people, tombstones that recognise late copies, and retention."""
