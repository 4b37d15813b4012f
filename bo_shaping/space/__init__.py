"""What can be tried? Mixing weights on a simplex times a box of training parameters, and how they become Ax arms."""
