"""`make bench-evaluate DATA=folder`: how often each judge is wrong, and what it finds.

One question a module; `__main__` asks them all and `document` writes docs/evaluation.md.
"""
