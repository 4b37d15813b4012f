"""A small dense-reward PPO: pure tensor mathematics, an actor-critic, a rollout and the step that joins them."""
