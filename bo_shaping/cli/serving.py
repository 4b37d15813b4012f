"""The verb that shows studies in a browser: serve."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from bo_shaping.cli.terms import console
from bo_shaping.errors import DashboardError
from bo_shaping.storage.study_folder import studies_root

_LOCAL = "127.0.0.1"


def serve(
    studies_dir: Annotated[
        Path | None, typer.Argument(metavar="STUDIES_DIR", help="The folder of studies; your folder by default.")
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; beyond this machine it takes a token.")
    ] = _LOCAL,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Which port; 0 takes a free one.")] = 8421,
    token: Annotated[
        str | None, typer.Option(envvar="BO_SHAPING_TOKEN", metavar="TOKEN", help="The token to ask for.")
    ] = None,
    static: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write the same pages as files into this folder instead.")
    ] = None,
) -> None:
    """Show studies in a browser, live; nothing is written into them."""
    root = studies_root() if studies_dir is None else studies_dir
    try:
        from bo_shaping.dashboard.shelf import Shelf

        shelf = Shelf(root)
        if static is not None:
            from bo_shaping.dashboard.static_site import write_static

            console.print(Text(str(write_static(shelf, static))), soft_wrap=True)
            return
        from bo_shaping.dashboard.serving import serve as serve_shelf
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise DashboardError(
            f"The dashboard needs {error.name}; install it with: pip install 'bo-shaping[dashboard]'"
        ) from None
    serve_shelf(shelf, host, port, lambda line: console.print(Text(line), soft_wrap=True), token=token)
