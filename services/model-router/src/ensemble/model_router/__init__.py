"""Language models behind one Chat stream."""
