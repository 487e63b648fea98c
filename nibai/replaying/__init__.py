"""Captured inputs sent through both variants, within a rate and a budget, resumable."""
