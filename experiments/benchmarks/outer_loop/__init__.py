"""How good is the outer loop? Candidates, sample efficiency and scale, against Ax's defaults, Optuna and chance."""
