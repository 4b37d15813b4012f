"""The page on protocols speaks of the code as it is."""

import ast
import re
from pathlib import Path

from tests.simulator.known_bugs import INTERLEAVINGS

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "protocols.md"
NAME = re.compile(r"`([A-Z][a-z]\w*\.\w+|[a-z]+(?:_[a-z]+)+)`")
"""`Class.member`, or a function of several words."""


def names_of_the_code():
    names = set()
    for package in ("bo_shaping", "inner_loop"):
        for file in (REPOSITORY / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef):
                    names.add(node.name)
                elif isinstance(node, ast.ClassDef):
                    names |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return names


def test_every_name_on_the_page_is_one_of_the_code():
    named = set(NAME.findall(PAGE.read_text(encoding="utf-8")))
    assert len(named) > 15
    assert named - names_of_the_code() == set()


def test_the_page_counts_the_bugs_that_are_put_back():
    numbers = {12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen"}
    assert f"puts {numbers[len(INTERLEAVINGS)]} bugs back" in PAGE.read_text(encoding="utf-8")
