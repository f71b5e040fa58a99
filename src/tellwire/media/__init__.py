"""Files of messages: fetched from Meta, uploaded to it, and linked for subscribers."""
