"""The lake as it lies on disk: shapes of rows, Delta tables, their upkeep."""
