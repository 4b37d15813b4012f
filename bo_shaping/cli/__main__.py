"""`python -m bo_shaping.cli` is `bo-shaping`."""

from bo_shaping.cli import main

main()
