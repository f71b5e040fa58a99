"""The metadata and the text type that all tables share."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy import Text as AnyText

metadata = MetaData()

Text = AnyText().with_variant(AnyText(collation="C"), "postgresql")
"""Text that sorts by its bytes, also on PostgreSQL, whatever the database's locale is: queries compare ids."""
