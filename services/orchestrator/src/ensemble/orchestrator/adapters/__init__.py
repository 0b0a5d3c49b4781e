"""How the orchestrator reaches its peers."""
