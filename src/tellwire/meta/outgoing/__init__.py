"""PURE. What goes out to Meta: shapes and limits, bodies, recipients, and what Meta's answers mean."""
