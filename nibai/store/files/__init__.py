"""Files from outside: where their measurements and answers lie, and how they are counted."""
