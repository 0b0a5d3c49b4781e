"""Everything that makes the embedded household model: dialogues, tokenizer, network."""
