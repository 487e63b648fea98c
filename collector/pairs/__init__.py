"""Pairs of answers that people already have in files, as samples of predictions.

`reader` is the way in; `layout` finds columns, `rows`, `columns` and `text` read them, `texts` and
`vectors` compare what is no class, `counting` counts.
"""
