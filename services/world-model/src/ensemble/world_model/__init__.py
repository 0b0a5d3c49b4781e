"""Entities, facts and their history."""
