"""Tuning and evaluation of the recogniser; nothing that runs needs it."""
