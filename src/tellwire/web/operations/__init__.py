"""Serve those who run an installation: probes and metrics."""
