"""The in-process channel: real gRPC calls between two tasks of one event loop."""
