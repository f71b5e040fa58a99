"""Serve WappCloud's send API over our use cases (docs/reference/wappcloud.md)."""
