"""Is the inner loop fast, small and right? Our PPO against the last PPO of trl (1.9.2) on the same job."""
