"""Texts of any characters that UTF-8 can hold."""

from hypothesis import strategies as st

ANY_CHARACTERS = st.characters(exclude_categories=["Cs"])
"""Hypothesis's own default is the same, found by encoding every character: 2 s a process."""


def text(**sizes):
    return st.text(ANY_CHARACTERS, **sizes)
