"""Pairs of answers as columns, and the mergeable sketches made of them; pure, numpy only."""
