"""Implement `tellwire dev`: the whole product in one process without preparation, and a simulated customer who writes.

`command` is the command line, `home` what is kept between runs, `stack` what runs, `registration` what is created in
it, `chat` what the customer does, `terminal` and `replies` what is typed, `journeys` the live lines on the `screen`,
`once` the run that ends by itself, `rest` our own API called from outside.
"""
