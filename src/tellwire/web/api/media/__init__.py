"""Files over REST: their rows, their bytes and uploads."""
