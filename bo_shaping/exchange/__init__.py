"""How trials of others come in: from plain Ax, tables, Optuna and older studies, matched to a search space."""
