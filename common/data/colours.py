"""An opened image as upright 8-bit RGB: one rule for every kind of pixel. docs/data.md lists the rules.

Light to import: NumPy is loaded for images with more than 8 bits only.
"""

from typing import Any

from PIL import Image

RULES = 1  # part of the pixel store's key: raise it where a kind of image gives other pixels than before
ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
KEYED = ("1", "L", "P", "RGB")  # modes in which Pillow knows one colour as transparent
WIDE = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # values of more than 8 bits
FULL_16 = ("PNG", "PPM", "JPEG2000")  # of these Pillow gives values from 0 to 65535, whatever the file's own range is
EXIF = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}  # where Pillow keeps what getexif() reads
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
# TIFF tags
BITS, COMPRESSION, PHOTOMETRIC, PLANAR, COLOUR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT, SUBSAMPLING = (
    258, 259, 262, 284, 320, 338, 339, 530,
)  # fmt: skip


class ImageError(Exception):
    """A file that cannot be used as an image."""


def rgb(image: Image.Image) -> Image.Image:
    """The image in mode RGB, as viewers show it. An 8-bit RGB image without orientation or transparency is only loaded.

    ImageError for values whose meaning the file does not state. Pillow's own errors where the file is damaged.
    """
    if image.format == "TIFF":
        _check_tiff(image)
    stored = _stored(image) if image.format == "PNG" else ""
    opaque = image.format == "TGA" and _tga_without_alpha(image)
    image.load()
    if image.mode in WIDE:
        seen = _wide(image)
    elif image.mode in ALPHA or (image.mode in KEYED and image.has_transparency_data):
        seen = image.convert("RGB") if opaque else _on_white(image, stored)
    else:
        seen = image if image.mode == "RGB" else image.convert("RGB")
    return seen if image.format == "TIFF" else _upright(seen, image)  # Pillow turns a TIFF where it loads it


def _stored(image: Image.Image) -> object:
    """How a PNG keeps its samples, such as "L;4"."""
    tiles = getattr(image, "tile", ())
    return tiles[0].args if tiles else ""


def _on_white(image: Image.Image, stored: object) -> Image.Image:
    """Transparent pixels show white, translucent ones a mixture. stored: how a PNG keeps its samples."""
    colour = image.info.get("transparency")
    if image.mode == "L" and isinstance(colour, int):  # the file's number; the pixels are scaled to 8 bits
        bits = 2 if stored == "L;2" else 4 if stored == "L;4" else 8
        image.info["transparency"] = colour % 2**bits * 255 // (2**bits - 1)
    elif image.mode == "RGB" and isinstance(colour, tuple):
        image.info["transparency"] = tuple(c >> 8 if stored == "RGB;16B" else c & 255 for c in colour)
    rgba = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
    alpha = rgba.getchannel("A")
    if alpha.getextrema() == (255, 255):
        return rgba.convert("RGB")
    if image.format == "TIFF" and image.mode == "RGBA" and EXTRA_SAMPLES not in getattr(image, "tag_v2", ()):
        raise ImageError("it has a fourth channel and does not state whether that is opacity; save it as RGB or RGBA")
    white = Image.new("RGB", rgba.size, "white")
    white.paste(rgba.convert("RGB"), mask=alpha)
    return white


def _wide(image: Image.Image) -> Image.Image:
    """A grey image of more than 8 bits: its type's range becomes 0 to 255, rounded."""
    import numpy as np

    inverted = image.format == "TIFF" and _numbers(image, PHOTOMETRIC, 1)[0] == 0  # Pillow inverts 8 bits only
    values = np.asarray(image)
    if image.mode == "F":
        with np.errstate(all="ignore"):
            low, high = float(values.min()), float(values.max())
            usable = low >= 0 and high <= 1  # false for NaN
        if not usable:
            raise ImageError(_float_reason(values))
        grey = np.rint(values * np.float32(255)).astype(np.uint8)
    else:
        top = _largest(image)
        table = np.minimum((np.arange(2**16) * 255 + top // 2) // top, 255).astype(np.uint8)
        grey = table[values]
    grey = 255 - grey if inverted else grey
    colour = image.info.get("transparency")
    if isinstance(colour, int):
        grey = np.where(values == colour, np.uint8(255), grey)
    return Image.fromarray(grey).convert("RGB")


def _float_reason(values: Any) -> str:
    import numpy as np

    finite = values[np.isfinite(values)]
    seen = f"floats from {finite.min():.9g} to {finite.max():.9g}" if finite.size else "no finite float"
    others = values.size - finite.size
    also = f" and {others:,} NaN or infinite values" if others and finite.size else ""
    return f"it has {seen}{also}, and floats must lie between 0 and 1: rescale them, or convert it to 8 or 16 bits"


def _largest(image: Image.Image) -> int:
    """The value that is white. ImageError where the file's format does not define one."""
    if image.format in FULL_16:
        return 2**16 - 1
    if image.format == "TIFF" and image.mode != "I":
        return 2 ** max(_numbers(image, BITS, 1)) - 1
    bits = max(_numbers(image, BITS, 1)) if image.format == "TIFF" else 32 if image.mode == "I" else 16
    raise ImageError(
        f"it has {bits}-bit integers of a kind whose black and white are not defined ({image.format}): convert it to 8 bits, "
        "or to a 16-bit PNG"
    )


def _numbers(image: Any, tag: int, otherwise: int) -> tuple[int, ...]:
    found = image.tag_v2.get(tag, otherwise)
    return found if isinstance(found, tuple) else (found,)


def _check_tiff(image: Any) -> None:
    """ImageError for the kinds of TIFF that Pillow 13 loads with wrong pixels and without an error."""
    (layout, *_), (photometric, *_) = _numbers(image, PLANAR, 1), _numbers(image, PHOTOMETRIC, -1)
    raw, bits = _numbers(image, COMPRESSION, 1)[0] == 1, max(_numbers(image, BITS, 1))
    wrong = ""
    if 2 in _numbers(image, SAMPLE_FORMAT, 1):
        wrong = f"it has signed {bits}-bit integers, whose black and white are not defined: convert it to unsigned ones"
    elif image.mode in WIDE and photometric not in (0, 1):
        wrong = "it does not state whether 0 is black or white (TIFF tag 262): save it again with another program"
    elif layout == 2 and (image.mode in ALPHA[:3] or (raw and bits > 8)):
        wrong = "it keeps each channel in a plane of its own: save it with interleaved channels"
    elif image.mode == "F" and not raw and image.tag_v2.prefix == b"MM":
        wrong = "it has compressed big-endian floats: save it without compression, or as a 16-bit PNG"
    elif photometric == 6 and raw and _numbers(image, SUBSAMPLING, 2) != (1, 1):
        wrong = "it has uncompressed, subsampled YCbCr: save it as RGB"
    elif image.mode in ("P", "PA") and 0 < max(_numbers(image, COLOUR_MAP, 0)) < 256:
        wrong = "its colour table has 8-bit numbers where a TIFF needs 16-bit ones, so that it would be black: save it as RGB"
    if wrong:
        raise ImageError(wrong)


def _tga_without_alpha(image: Any) -> bool:
    """Whether the header counts no bit of a pixel as opacity; the fourth byte is then anything."""
    image.fp.seek(17)
    return image.mode in ALPHA and not image.fp.read(1)[0] & 15


def _upright(seen: Image.Image, image: Image.Image) -> Image.Image:
    """Turned and mirrored as the EXIF orientation asks, as viewers do."""
    if not EXIF & image.info.keys():
        return seen
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 0))
    except Exception:  # a damaged block raises SyntaxError, struct.error, ValueError, ...; viewers then turn nothing
        return seen
    return seen if turn is None else seen.transpose(turn)
