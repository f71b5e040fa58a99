"""Logs, traces and counters."""
