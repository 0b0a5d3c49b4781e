"""Engines behind the ports; each imports its library only when it is loaded."""
