"""These fail first when Ray changes what it never promised."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

SCRIPT = """
import os
from ray._raylet import AuthenticationTokenLoader
from bo_shaping.libraries.ray_internals import forget_password
loader = AuthenticationTokenLoader.instance()
print(loader.get_token_for_http_header()["authorization"])
os.environ["RAY_AUTH_TOKEN"] = "b" * 36
print(loader.get_token_for_http_header()["authorization"])
forget_password()
print(loader.get_token_for_http_header()["authorization"])
"""


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
def test_the_password_that_ray_has_read_can_be_forgotten():
    # Ray reads the mode once in a process.
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 36}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    assert [line[-1] for line in done.stdout.splitlines()] == ["a", "a", "b"]
