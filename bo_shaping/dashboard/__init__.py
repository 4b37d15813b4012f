"""Studies in a browser: `bo-shaping serve` shows them live, `serve --static` writes the same pages as files.

Read-only: pages are made of the journal, result and progress files of a study, never of its database.
"""
