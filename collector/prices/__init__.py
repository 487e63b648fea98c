"""Public prices of instances."""
