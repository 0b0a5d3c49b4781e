"""The crash suite: processes are killed under conversations, and nothing may be lost or doubled."""
