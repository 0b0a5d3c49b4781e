"""What both speech services do to samples."""
