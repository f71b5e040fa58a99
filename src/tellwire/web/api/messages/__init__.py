"""Messages over REST: reading, sending and what can be done about one."""
