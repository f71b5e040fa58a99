"""Serve HTTP: Meta's webhook, the REST API, operations and the status page."""

from tellwire.web.asgi import WebApp, create_app
from tellwire.web.services import Services

__all__ = ["Services", "WebApp", "create_app"]
