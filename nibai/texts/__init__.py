"""What can be said about two texts that answer one request, without a model and a download.

Every part is linear in the length of the text: what would not be is capped, and says so.
Pure: no I/O, no clock, no configuration. Source: nibai's drift.md, section 6.
"""
