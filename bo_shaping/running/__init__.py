"""How does a study run? The driver proposes, starts, waits and imports; trials end, or are told."""
