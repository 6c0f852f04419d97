"""What the server lets be seen: logs and metrics."""
