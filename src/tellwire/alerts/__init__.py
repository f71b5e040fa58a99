"""Alerts: who runs an installation is told what the verdict says, by webhook, by chat and by mail."""
