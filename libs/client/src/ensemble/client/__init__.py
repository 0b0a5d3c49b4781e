"""Typed async client of the Ensemble gateway."""
