"""Read-only answers to terminals."""
