"""Messages to Meta: each at most once, in order per conversation and within Meta's rates."""
