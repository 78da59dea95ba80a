"""What differs between boards."""
