"""Serve those who run an installation: probes, metrics and the status page."""
