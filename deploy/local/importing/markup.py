"""HTML as the plain text that a person would read."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    {"p", "pre", "blockquote", "ul", "ol", "table", "tr", "hr", *(f"h{level}" for level in range(1, 7))}
)


class _Text(HTMLParser):
    """Collects what a person would read, links and pictures as their addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._links: list[tuple[str, int]] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in _BLOCKS:
            self.parts.append("\n\n")
        elif tag == "br":
            self.parts.append("\n")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "img":
            self.parts.append(attributes.get("src") or "")
        elif tag == "a":
            self._links.append((attributes.get("href") or "", len(self.parts)))

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links:
            address, start = self._links.pop()
            if address and address not in "".join(self.parts[start:]):
                self.parts.append(f" ({address})")


def text_of(html: str) -> str:
    """HTML as plain text."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    text = re.sub(r"\n- \s+", "\n- ", "".join(parser.parts))
    return re.sub(r"\n(?:[ \t\r]*\n)+", "\n\n", text).strip()
