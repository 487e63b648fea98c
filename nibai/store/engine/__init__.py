"""DuckDB, the engine under every query: connections, SQL text, Arrow columns."""
