"""Turn a POST of Meta's into rows and events."""
