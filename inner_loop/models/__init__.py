"""Who scores, and who speaks? Reward models, the policy and prompts of a task, and the alignment of their tokens."""
