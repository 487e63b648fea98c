"""Where measurements are kept and read from: log, lake, state, and files from outside."""
