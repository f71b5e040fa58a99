"""HTTP out, guarded: subscribers, Meta's Graph API and models of agents are reached through it."""
