"""`tellwire dev`: everything in one process with nothing to prepare, and a simulated customer who writes.

`command` is the command line, `home` what is kept between runs, `stack` what runs, `story` what the customer does,
`journeys` the live lines, `once` the run that ends by itself, `rest` our own API from outside.
"""
