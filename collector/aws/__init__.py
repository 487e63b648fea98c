"""What everything that asks AWS shares: one way to call an operation, one way to tell its errors.

boto3 stops here: callers see plain mappings and nibai's own errors.
"""
