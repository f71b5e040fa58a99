"""The benchmark: Tellwire beside what a user would build and beside a bare prototype, on one machine."""
