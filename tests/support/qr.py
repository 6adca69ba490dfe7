"""Reads QR codes as a telephone does."""

import io
import re
import xml.etree.ElementTree as ElementTree

import zxingcpp
from PIL import Image, ImageDraw

_STEP = re.compile(r"([Mmh])(-?[\d.]+)(?: ?(-?[\d.]+))?")
_PIXELS = 8


def read_png(picture: bytes) -> str:
    """The text in a PNG."""
    return _text(Image.open(io.BytesIO(picture)).convert("L"))


def read_svg(picture: bytes) -> str:
    """The text in an SVG as segno draws it: one path of horizontal lines, one module thick."""
    root = ElementTree.fromstring(picture)
    size = int(root.attrib["width"]), int(root.attrib["height"])
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    x = y = 0.0
    path = root.find("{http://www.w3.org/2000/svg}path")
    assert path is not None
    for step, first, second in _STEP.findall(path.attrib["d"]):
        match step:
            case "M":
                x, y = float(first), float(second)
            case "m":
                x, y = x + float(first), y + float(second or 0)
            case "h":
                end = x + float(first)
                top = (y - 0.5) * _PIXELS
                draw.rectangle((x * _PIXELS, top, end * _PIXELS - 1, top + _PIXELS - 1), fill=0)
                x = end
    return _text(image)


def _text(image: Image.Image) -> str:
    found = zxingcpp.read_barcodes(image)
    assert len(found) == 1
    return str(found[0].text)
