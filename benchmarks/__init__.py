"""How fast local-ai is, always next to the engine's own server: `make bench`."""
