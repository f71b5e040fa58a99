"""The composition root: the one place that chooses the adapters and joins everything."""

from tellwire.app.wiring import App, Role

__all__ = ["App", "Role"]
