"""The windows of a change and its past, read from the lake as analyzers want them."""
