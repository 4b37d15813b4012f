"""The layers of both packages and the imports between them, read from the code."""

import tomllib
from html import escape
from pathlib import Path

import grimp

from experiments.docs.markdown import cell

ROOT = Path(__file__).resolve().parents[2]


def layers_of(package: str) -> list[list[str]]:
    """The layers as the contract in pyproject.toml has them, highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (contract for contract in contracts if contract.get("containers") == [package])
    return [[part.strip() for part in layer.split("|")] for layer in contract["layers"]]


LAYERS = {package: layers_of(package) for package in ("bo_shaping", "inner_loop")}

WIDTH, ROW, LEFT, GAP = 430, 40, 20, 60
BOX = 26


def imports_between_parts() -> dict[str, set[str]]:
    """By part (`package.part`): the other parts that it imports, in functions too."""
    graph = grimp.build_graph("bo_shaping", "inner_loop", cache_dir=None)
    imports: dict[str, set[str]] = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            importer, other = _part(module), _part(imported)
            if importer != other and "." in importer and "." in other:
                imports.setdefault(importer, set()).add(other)
    return imports


def _part(module: str) -> str:
    return ".".join(module.split(".")[:2])


def layer_table() -> str:
    """The page beside the drawing: what each part is for, and what it imports."""
    imports = imports_between_parts()
    lines = [
        "# Layers",
        "",
        "Each part imports only what stands below it; `make lint` checks that. Drawing and table are made from the",
        "code by `python -m experiments.docs`.",
        "",
        "![The layers of both packages](layers.svg)",
    ]
    for package, layers in LAYERS.items():
        lines += ["", f"## `{package}`", "", "| part | question or purpose | imports |", "|---|---|---|"]
        for part in (part for layer in layers for part in layer):
            name = f"{package}.{part}"
            others = ", ".join(f"`{other.removeprefix(package + '.')}`" for other in sorted(imports.get(name, ())))
            lines.append(f"| `{part}` | {_purpose(name)} | {others} |")
    return "\n".join(lines) + "\n"


def _purpose(name: str) -> str:
    """The first line of the docstring."""
    path = ROOT / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    docstring = file.read_text(encoding="utf-8").split('"""')[1]
    return cell(docstring.split("\n\n")[0])


def layer_drawing() -> str:
    """An SVG: the two packages side by side, highest layer on top, and a line for every import between neighbours."""
    imports = imports_between_parts()
    height = 60 + ROW * max(len(layers) for layers in LAYERS.values())
    total = 2 * WIDTH + GAP + 2 * LEFT
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" font-family="sans-serif" '
        f'font-size="14"><rect width="{total}" height="{height}" fill="white"/>'
    ]
    for column, (package, layers) in enumerate(LAYERS.items()):
        left = LEFT + column * (WIDTH + GAP)
        missing = _parts_of(package) - {part for layer in layers for part in layer}
        if missing:
            raise ValueError(f"experiments/docs/layers.py does not place {sorted(missing)} of {package}")
        shapes.append(f'<text x="{left}" y="26" font-weight="bold">{package}</text>')
        for row, layer in enumerate(layers):
            width = (WIDTH - 8 * (len(layer) - 1)) / len(layer)
            for place, part in enumerate(layer):
                x, y = left + place * (width + 8), 40 + row * ROW
                across = any(other.startswith("inner_loop") for other in imports.get(f"{package}.{part}", ()))
                colour = "#cfe3f5" if column else ("#fdebd0" if across else "#f2f2f2")
                shapes += [
                    f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{BOX}" rx="5" fill="{colour}" stroke="#666"/>',
                    f'<text x="{x + width / 2:g}" y="{y + 18}" text-anchor="middle">{escape(part)}</text>',
                ]
            if row + 1 < len(layers):
                middle, top = left + WIDTH / 2, 40 + row * ROW + BOX
                shapes.append(
                    f'<path d="M{middle:g} {top} v{ROW - BOX - 5} m-4 0 l4 5 l4 -5 z" fill="#666" stroke="#666"/>'
                )
    middle = LEFT + WIDTH + GAP / 2
    shapes += [
        f'<path d="M{middle - 22:g} 53 h36 m0 -5 l7 5 l-7 5 z" fill="#666" stroke="#666"/>',
        f'<text x="{LEFT}" y="{height - 4}" font-size="12" fill="#444">Each part imports only what stands below it, '
        "and bo_shaping imports inner_loop. Orange: imports inner_loop directly.</text>",
        "</svg>",
    ]
    return "\n".join(shapes) + "\n"


def _parts_of(package: str) -> set[str]:
    """Modules and packages right inside a package."""
    inside = (ROOT / package).iterdir()
    named = {path.stem for path in inside if (path.suffix == ".py" or (path / "__init__.py").exists())}
    return named - {"__init__", "__main__"}
