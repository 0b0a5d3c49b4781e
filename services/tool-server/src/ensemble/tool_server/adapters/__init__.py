"""What the tools' world is reached by."""
