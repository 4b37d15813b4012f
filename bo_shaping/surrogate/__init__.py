"""What do the trials say? Outcomes as data, Gaussian processes, the joint posterior and the recommendation from it."""
