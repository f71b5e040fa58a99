"""The doctor: what can be wrong with an installation, each with its remedy, and how that is found out."""
