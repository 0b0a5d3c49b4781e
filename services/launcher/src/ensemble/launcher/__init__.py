"""The ensemble command."""
