"""The verdict: what does not work just now, each with its cause and its remedy."""
