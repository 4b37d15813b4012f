"""Why something failed, in the words of the system or the database, for a sentence of ours."""


def reason_of(error: BaseException) -> str:
    """One line, without names of classes and without a full stop.

    >>> reason_of(OSError(28, "No space left on device", "/studies/a"))
    'No space left on device'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # SQLAlchemy puts the class of the database's own error in front of its words, and the statement behind.
    words = " ".join(str(getattr(error, "orig", None) or error).split())
    return words.rstrip(".?") or "no reason was given"


def sentence_of(error: BaseException) -> str:
    """A message in one line; the system's own names the file first, and no number.

    >>> sentence_of(OSError(28, "No space left on device", "/studies/a"))
    '/studies/a: No space left on device.'
    """
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return " ".join(str(error).split())
