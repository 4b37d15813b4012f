"""Private names of Ray that a study cannot do without (`ray` 2.60)."""

from importlib import import_module


def forget_password() -> None:
    """Ray keeps the first password that it has read, which may be that of an earlier cluster of this process."""
    import_module("ray._raylet").AuthenticationTokenLoader.instance().reset_cache()
