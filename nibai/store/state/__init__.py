"""Small mutable state in SQLite or PostgreSQL: the tables, their versions, what is done with each.

A file holds what is asked of one table; `database` opens the state and keeps changes and audits.
"""
