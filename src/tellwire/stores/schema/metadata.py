"""What all tables are made of."""

from __future__ import annotations

from sqlalchemy import MetaData
from sqlalchemy import Text as AnyText

metadata = MetaData()

Text = AnyText().with_variant(AnyText(collation="C"), "postgresql")
"""Texts sort by their bytes, on PostgreSQL too whatever the database's locale: ids are compared here and there."""
