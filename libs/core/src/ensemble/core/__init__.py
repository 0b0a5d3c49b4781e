"""Errors, limits and vocabulary shared by every Ensemble unit. Standard library only."""
