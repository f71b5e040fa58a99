"""Make the OpenAPI document, and the reference page from it."""
