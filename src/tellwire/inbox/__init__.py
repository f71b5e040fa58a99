"""A POST of Meta's becomes rows and events."""
