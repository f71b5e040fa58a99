"""Implement the systems that Tellwire is compared with; each runs in the benchmark's own environment."""
