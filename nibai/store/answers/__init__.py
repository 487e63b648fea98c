"""Answers in the lake: pairs, periods, samples, noise floors, hourly counts, what was captured."""
