"""Short codes that people type: eight characters of Crockford's base 32, without letters that look like digits."""

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 8

_ALIKE = str.maketrans({"I": "1", "L": "1", "O": "0"})


def new_code() -> str:
    """A random code: 40 bits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def normalize(text: str) -> str | None:
    """The code that somebody typed, in any case, with hyphens or look-alike letters; None if it is none."""
    code = text.replace("-", "").upper().translate(_ALIKE)
    return code if len(code) == LENGTH and set(code) <= set(ALPHABET) else None
