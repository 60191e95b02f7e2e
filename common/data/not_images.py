"""Why a file is no image that Pillow can read, from its first bytes."""

HEAD = 4096  # bytes that are looked at
POINTERS = (
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer instead of the image: run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer instead of the image: run git annex get"),
)
IMAGES = {  # kinds that Pillow reads: the file is damaged, or of a variety that Pillow lacks
    b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF",
    b"MM\0+": "TIFF", b"8BPS": "PSD", b"\0\0\0\x0cjP  ": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000",
}  # fmt: skip
OTHERS = {
    b"PK\x03\x04": "a ZIP archive", b"\x1f\x8b": "a gzip archive", b"7z\xbc\xaf": "a 7-Zip archive", b"Rar!": "a RAR archive",
    b"BZh": "a bzip2 archive", b"\xfd7zXZ": "an xz archive", b"%PDF": "a PDF document", b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file", b"v/1\x01": "an OpenEXR image", b"#?RADIANCE": "a Radiance HDR image", b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image", b"\x1aE\xdf\xa3": "a Matroska or WebM video", b"MATLAB": "a MATLAB file",
    b"SQLite format": "a SQLite database", b"\x80\x04": "a Python pickle", b"\x80\x05": "a Python pickle",
}  # fmt: skip
BRANDS = {b"heic": "a HEIC image", b"heix": "a HEIC image", b"mif1": "a HEIF image"}
CONVERT = ", which Pillow cannot read: convert it to PNG or JPEG"
SHOWN = 40  # characters of a text


def reason(head: bytes, size: int) -> str:
    """What the file is instead. head: its first bytes; size: of the whole file."""
    start = head.lower()
    for prefix, words in POINTERS:
        if head.startswith(prefix):
            return words
    if b"<!doctype html" in start or b"<html" in start:
        return "an HTML page instead of the image, as a dead link or a login page gives: download it again"
    if b"<svg" in start:
        return f"an SVG drawing{CONVERT}"
    return f"cannot identify image file: {_described(head, size)}"


def cut_off(head: bytes, size: int) -> str:
    """Of a WebP file, whose decoder does not state it: that its end is missing; else ""."""
    whole = int.from_bytes(head[4:8], "little") + 8
    return f"image file is truncated ({size:,} of {whole:,} bytes)" if _is_webp(head) and size < whole else ""


def _described(head: bytes, size: int) -> str:
    if not size:
        return "it is empty (0 bytes)"
    if not head.strip(b"\0"):
        return f"it begins with {len(head):,} bytes of zeros, as an incomplete copy does"
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    image = next((name for magic, name in IMAGES.items() if head.startswith(magic)), "WebP" if _is_webp(head) else "")
    if image or brand in (b"avif", b"avis"):
        return f"it begins as a file in {image or 'AVIF'} format, but is cut off, damaged or of a kind that Pillow cannot read"
    other = next((name for magic, name in OTHERS.items() if head.startswith(magic)), "")
    if brand:
        other = BRANDS.get(brand, "an MP4 or QuickTime video")
    elif head[128:132] == b"DICM":
        other = "a DICOM file"
    if other:
        return f"it is {other}{CONVERT if 'image' in other else ''}"
    text = _text(head)
    return f"it holds text, which begins with '{text}'" if text else f"its {size:,} bytes are no kind that Pillow knows"


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _text(head: bytes) -> str:
    """The first characters on one line; "" where the bytes are no text."""
    try:
        text = (
            head[: len(head) - len(head) % 2].decode("utf-16")
            if head[:2] in (b"\xff\xfe", b"\xfe\xff")
            else head.decode()
        )
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # else a character that the end of the head cuts
            return ""
        text = head[: error.start].decode()
    if not all(c.isprintable() or c.isspace() for c in text):
        return ""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."
