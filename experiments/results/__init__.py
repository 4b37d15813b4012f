"""The papers' claims, task by task: comparisons that anyone can run again, and what came out."""
