"""What may be said to a tool, as a finite automaton built from its schema and utterances."""
