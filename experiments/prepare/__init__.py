"""From preference pairs to a study: a reward model, a policy to start from, prompts, and the study's configuration."""
