"""The tables of the first schema, which `versions/0001_initial.py` makes.

History is frozen: nothing here imports today's tables, and a table changes by the next file in `versions` instead.
"""

import sqlalchemy as sa

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Texts sort by their bytes, whatever the database's locale."""
