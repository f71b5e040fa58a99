"""Conversions between records of the model and rows of tables."""
