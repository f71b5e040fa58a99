"""PURE. The whole way of one message, told in plain words: records in, steps out."""
