"""What is tried next? The initial design, the acquisition function, replicates at the end, and early stopping."""
