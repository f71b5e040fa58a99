"""`tellwire dev`: everything in one process with nothing to prepare, a simulated customer who writes, and answers.

`command` is the command line, `home` what is kept between runs, `stack` what runs, `registration` what is made in it,
`story` what the customer does, `terminal` and `replies` what is typed, `journeys` the live lines on the `screen`,
`once` the run that ends by itself, `rest` our own API from outside.
"""
