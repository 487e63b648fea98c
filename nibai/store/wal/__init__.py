"""From a batch to the lake, once: the write-ahead log, and its rows folded to additive ones."""
