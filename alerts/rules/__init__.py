"""Rule files: what is claimed where, how loudly it is told, and to whom."""
