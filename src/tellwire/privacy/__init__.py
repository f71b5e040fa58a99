"""What is taken away: erasure of people, the marks that keep them away, and retention."""
