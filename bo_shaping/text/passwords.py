"""Passwords in URLs, starred out."""

import re


def without_password(text: str) -> str:
    """`text` with the password of every URL in it starred out: for everything that is shown or shared.

    >>> without_password("storage: postgresql://me:secret@db/x")
    'storage: postgresql://me:***@db/x'
    """
    return re.sub(r"(\w://[^:/@\s]*:)[^@\s]*@", r"\1***@", text)
