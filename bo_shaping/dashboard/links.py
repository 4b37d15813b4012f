"""Addresses between the pages: relative, so that the same pages work from a server and from a folder of files."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode


@dataclass(frozen=True)
class Links:
    """The addresses as seen from one page."""

    depth: int = 0
    """How many folders the page lies below the list of studies."""
    is_static: bool = False
    """Whether the pages are files: then a folder's page is named, and nothing can be asked of a server."""

    @property
    def root(self) -> str:
        """The folder of the list of studies."""
        return "../" * self.depth or "./"

    def home(self) -> str:
        """The list of studies."""
        return self._page("")

    def study(self, name: str) -> str:
        """One study."""
        return self._page(f"study/{quote(name, safe='')}/")

    def trial(self, name: str, index: int) -> str:
        """One trial."""
        return self._page(f"study/{quote(name, safe='')}/trial/{index}/")

    def compare(self) -> str:
        """Several studies side by side."""
        return self._page("compare/")

    def explorer(self, **texts: str) -> str:
        """The explorer of token credit, filled in."""
        return self._page("explorer/") + (f"?{urlencode(texts)}" if texts else "")

    def asset(self, name: str) -> str:
        """A file that comes with the package."""
        return f"{self.root}static/{name}"

    def picture(self, folder: str, file: str, version: str = "") -> str:
        """A picture of the page in `folder`, as `study/NAME`; a new `version` gives a new address."""
        address = f"{self.root}{quote(folder)}/picture/{file}"
        return f"{address}?v={version}" if version and not self.is_static else address

    def _page(self, path: str) -> str:
        return f"{self.root}{path}{'index.html' if self.is_static else ''}"
