"""Tellwire: a self-hosted webhook platform for WhatsApp Business."""

__version__ = "0.1.0"
