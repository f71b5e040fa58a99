"""Keep what Meta says of a business account: facts, notices and message templates."""
