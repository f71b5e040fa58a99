"""The nouns of the API as commands, a module for each; what they share is in `cli/listing.py` and `cli/ids.py`."""
