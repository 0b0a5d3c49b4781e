"""Tools behind one CallTool stream."""
