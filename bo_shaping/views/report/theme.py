"""The colours of pages and fragments, light and dark: as the reader's system has them, or the notebook around them.

JupyterLab, nbconvert, VS Code and Colab say on an outer element whether they are dark, which counts for more than what
the system prefers.
"""

_LIGHT = {
    "ink": "#1f2733",
    "muted": "#59636f",
    "faint": "#8a929c",
    "paper": "#ffffff",
    "ground": "#f6f7f9",
    "rule": "#e3e7ec",
    "strong-rule": "#c3c9d1",
    "chosen": "#fdf1f2",
    "warning": "#a33a1d",
    "spelt": "#4a1668",
    "empty": "#eef0f3",
}
_DARK = {
    "ink": "#e6e9ee",
    "muted": "#aab3bf",
    "faint": "#8d97a3",
    "paper": "#171c24",
    "ground": "#0f131a",
    "rule": "#2b333f",
    "strong-rule": "#4a5564",
    "chosen": "#3a2027",
    "warning": "#ff9d7e",
    "spelt": "#d9b3f5",
    "empty": "#2b333f",
}
_LIGHT_ROOTS = ('[data-jp-theme-light="true"]', "body.vscode-light", "[data-theme=light]")
_DARK_ROOTS = ('[data-jp-theme-light="false"]', "body.vscode-dark", "html[theme=dark]", "[data-theme=dark]")


def theme_css(selector: str) -> str:
    """CSS that gives the elements of a selector our colours as variables, `--bs-ink` and so on.

    Args:
        selector: A simple one, such as `.trials`; `:root` for a whole page.
    """
    light, dark = ("".join(f"--bs-{name}:{colour};" for name, colour in colours.items()) for colours in (_LIGHT, _DARK))
    by_root = "" if selector == ":root" else f"{_below(_LIGHT_ROOTS, selector)}{{{light}}}"
    by_root += "" if selector == ":root" else f"{_below(_DARK_ROOTS, selector)}{{{dark}}}"
    return f"{selector}{{{light}}}@media (prefers-color-scheme:dark){{{selector}{{{dark}}}}}{by_root}"


def _below(roots: tuple[str, ...], selector: str) -> str:
    return ",".join(f"{root} {selector}" for root in roots)
