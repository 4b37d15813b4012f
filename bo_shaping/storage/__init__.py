"""What must never be lost? The journal, the Ax database, the lease of the one driver, trial folders, and recovery."""
