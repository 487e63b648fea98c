"""What `nibai run` does by itself, one concern a file: looks, reports, collectors, jobs, server."""
