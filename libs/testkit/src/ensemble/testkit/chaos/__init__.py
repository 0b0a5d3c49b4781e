"""Whole stacks of real processes with scripted engines, made to be killed."""
