"""Targets that captured inputs are sent to, one kind a file."""
