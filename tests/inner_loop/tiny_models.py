"""Sizes of the random models that tests are made with: milliseconds, whatever the architecture."""

TINY = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
