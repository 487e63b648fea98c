"""Alerting as `nibai run` and `nibai rules` use it: rules, state and receivers put together."""
