"""Measurements that people already have in files, as the two sides of a comparison.

`reader` is the way in; `settling` finds columns and units, `pieces` cuts files, `counting` reads
them, `assembly` makes the sides, `offered` what was sent and never completed.
"""
