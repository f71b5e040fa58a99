"""PURE. Meta's webhooks in: what a POST proves, and what it says."""
