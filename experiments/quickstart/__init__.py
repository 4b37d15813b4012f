"""Does the quickstart study find something real? Repeats of it with fresh seeds, judged on prompts it never saw."""
