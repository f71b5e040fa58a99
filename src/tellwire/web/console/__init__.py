"""Serve the console: pages for people, over the same calls as the REST API.

A page asks `Visit.api` for what it shows. So it can show and do only what its person may by API, and no page has a
query of its own. `routes.PAGES` is the table of them.
"""
