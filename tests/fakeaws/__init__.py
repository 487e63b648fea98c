"""AWS without an account: what the documentation says it answers, with known truth behind it."""
