"""The turn loop and the conversation log."""
