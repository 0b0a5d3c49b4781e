"""What the world model is kept in."""
