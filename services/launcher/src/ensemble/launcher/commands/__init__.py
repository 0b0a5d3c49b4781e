"""One module a command, each with ``async run(options) -> exit status``."""
