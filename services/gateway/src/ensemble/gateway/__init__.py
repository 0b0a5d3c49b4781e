"""The door: identity, limits, Converse."""
