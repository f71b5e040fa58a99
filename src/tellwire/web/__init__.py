"""Serve HTTP: Meta's webhook, the REST API, operations and the console."""

from tellwire.web.asgi import WebApp, create_app
from tellwire.web.services import Services

__all__ = ["Services", "WebApp", "create_app"]
