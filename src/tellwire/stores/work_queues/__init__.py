"""What the loops of the domain ask of a store (`ports.queues`), over any store; each call is one transaction."""
