"""How near the credit of every component is to the true advantage: sampled on the embedded task, exact on forks."""
