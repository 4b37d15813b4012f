"""Bias and variance of the policy gradient of every credit component, computed without sampling on small games."""
