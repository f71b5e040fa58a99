"""Events to webhook endpoints: in order per contact, retried, and fair between endpoints."""
