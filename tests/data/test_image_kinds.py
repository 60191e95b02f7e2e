"""Every kind of image that people have is read as a viewer shows it, or is refused with a reason; never anything between."""

import io
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from common.data import decode as module
from common.data.decode import ImageError, decode
from tests.helpers.drawn import (
    BLACK,
    BLUE,
    GREEN,
    HEIGHT,
    RED,
    WHITE,
    WIDTH,
    chunk,
    exif,
    halves,
    packed_12_bits,
    png,
    quarters,
    ramp,
    saved,
    tiff,
    turned,
)
from tests.helpers.project import PROJECT

SIDE = 16
RAMP8, RAMP16, RAMPF = ramp(255, np.uint8), ramp(65535, np.uint16), ramp(1, np.float32)
RGB16 = halves().astype(np.uint16) * 257
PALETTE = bytes([*GREEN, *RED, *BLUE, *BLACK])
SQUARE = np.pad(np.ones((HEIGHT // 2, WIDTH // 2), bool), ((HEIGHT // 4,) * 2, (WIDTH // 4,) * 2))  # in the middle


def trns(*values: int) -> bytes:
    return chunk(b"tRNS", struct.pack(f">{len(values)}H", *values))


def with_alpha(colour, hidden, alpha=None) -> np.ndarray:
    """The colour in a square; around it another one that is transparent. uint8 [h, w, channels + 1]."""
    alpha = SQUARE * 255 if alpha is None else alpha
    return np.dstack([np.where(SQUARE[..., None], colour, hidden), alpha]).astype(np.uint8)


def indexed(transparency) -> bytes:
    image = Image.fromarray(np.where(SQUARE, 1, 0).astype(np.uint8), "P")
    image.putpalette(PALETTE)
    return saved(image, "PNG", transparency=transparency)


def gif(transparent: bool) -> bytes:
    image = Image.fromarray(np.where(SQUARE, 1, 0).astype(np.uint8), "P")
    image.putpalette(PALETTE)
    return saved(image, "GIF", **({"transparency": 0} if transparent else {}))


def lab() -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.applyTransform(Image.fromarray(halves()), ImageCms.buildTransform(*profiles, "RGB", "LAB"))


def ycck() -> bytes:
    """A CMYK JPEG with the mark of YCCK, and with the channels that this mark promises."""
    light = Image.fromarray(255 - np.asarray(Image.fromarray(255 - halves()).convert("YCbCr")))
    image = Image.merge("CMYK", [*light.split(), Image.new("L", light.size, 0)])
    data = saved(image, "JPEG", quality=95, subsampling=0)
    mark = data.index(b"Adobe") + 11
    return data[:mark] + b"\x02" + data[mark + 1 :]


def jpeg2000_of_12_bits() -> bytes:
    """The encoder's 16 bits, declared as 12: it writes the samples less half their range."""
    shifted = ramp(4095, np.uint16).astype(int) - 2**11 + 2**15
    data = bytearray(saved(shifted.astype(np.uint16), "JPEG2000"))
    data[data.index(b"ihdr") + 14] = 11
    data[data.index(b"\xff\x51") + 40] = 11
    return bytes(data)


def pgm(top: int, kind: str) -> bytes:
    values = ramp(top, np.uint16)
    if kind == "P2":
        return f"P2 {WIDTH} {HEIGHT} {top}\n".encode() + b"\n".join(b"%d" % v for v in values.ravel())
    return f"P5 {WIDTH} {HEIGHT} {top}\n".encode() + values.astype(">u2" if top > 255 else np.uint8).tobytes()


def pfm(values: np.ndarray) -> bytes:
    return f"Pf\n{WIDTH} {HEIGHT}\n-1.0\n".encode() + values[::-1].astype("<f4").tobytes()


def first_of_two(form: str, **options) -> bytes:
    second = Image.new("RGB", (WIDTH, HEIGHT), GREEN)
    return saved(halves(), form, save_all=True, append_images=[second], **options)


def tga_that_counts_no_alpha() -> bytes:
    data = bytearray(saved(np.dstack([halves(), np.zeros((HEIGHT, WIDTH), np.uint8)]), "TGA"))
    data[17] &= 0xF0
    return bytes(data)


def raw_profile(orientation: int) -> bytes:
    """EXIF as ImageMagick keeps it in a PNG."""
    block = exif(orientation).tobytes()
    text = f"\nexif\n{len(block):8}\n{block.hex()}\n"
    return png(turned(quarters(), orientation), 8, 2, chunk(b"tEXt", b"Raw profile type exif\0" + text.encode()))


def xmp(orientation: int) -> bytes:
    text = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'
    return saved(turned(quarters(), orientation), "JPEG", quality=95, xmp=text.encode())


CMYK = np.asarray(Image.fromarray(halves()).convert("CMYK"))
RGB_FLOAT = halves().astype(np.float32) / 255

# Left red, right blue.
HALVES = {
    "jpeg": saved(halves(), "JPEG", quality=95),
    "cmyk jpeg": saved(halves(), "JPEG", "CMYK", quality=95),
    "ycck jpeg": ycck(),
    "jpeg with bytes behind its end": saved(halves(), "JPEG", quality=95) + b"MotionPhoto_Data" + bytes(5000),
    "png": saved(halves(), "PNG"),
    "animated png": first_of_two("PNG"),
    "png with 16 bits a channel": png(RGB16, 16, 2),
    "png with 16 bits and opacity": png(np.dstack([RGB16, np.full((HEIGHT, WIDTH), 65535)]), 16, 6),
    "gif, animated": first_of_two("GIF"),
    "webp, animated": first_of_two("WEBP", lossless=True),
    "avif": saved(halves(), "AVIF", quality=95),
    "jpeg 2000": saved(halves(), "JPEG2000"),
    "bmp": saved(halves(), "BMP"),
    "tiff of two pages": first_of_two("TIFF"),
    "big-endian tiff": tiff(halves(), 2, 8, order=">"),
    "planar tiff": tiff(halves(), 2, 8, planar=2),
    "planar tiff, deflated": tiff(halves(), 2, 8, planar=2, deflated=True),
    "planar tiff of 16 bits, deflated": tiff(RGB16, 2, 16, planar=2, deflated=True),
    "tiff of 16 bits": tiff(RGB16, 2, 16),
    "tiff of 16 bits, big-endian": tiff(RGB16, 2, 16, order=">"),
    "tiff of 16 bits, big-endian, deflated": tiff(RGB16, 2, 16, order=">", deflated=True),
    "tiff with a fourth channel that is not opacity": tiff(np.dstack([halves(), RAMP8]), 2, 8, extra=[0]),
    "tiff with a fourth channel, 16 bits": tiff(np.dstack([RGB16, RAMP16]), 2, 16, extra=[0]),
    "tiff with an opaque fourth channel that is not named": tiff(np.dstack([halves(), np.full_like(RAMP8, 255)]), 2, 8),
    "cmyk tiff": tiff(CMYK, 5, 8),
    "cmyk tiff of 16 bits": tiff(CMYK.astype(np.uint16) * 257, 5, 16),
    "cmyk tiff, planar": tiff(CMYK, 5, 8, planar=2),
    "cmyk tiff with a fifth channel": tiff(np.dstack([CMYK, RAMP8]), 5, 8, extra=[0]),
    "lab tiff": saved(lab(), "TIFF"),
    "ycbcr tiff": saved(halves(), "TIFF", "YCbCr"),
    "palette tiff": saved(halves(), "TIFF", "P"),
    "tga without opacity bits": tga_that_counts_no_alpha(),
}  # fmt: skip
# Grey, from black at the left to white at the right.
RAMPS = {
    "8 bits": saved(RAMP8, "PNG"),
    "png of 16 bits": png(RAMP16, 16, 0),
    "png of 16 bits that names fewer": png(RAMP16, 16, 0, chunk(b"sBIT", bytes([12]))),
    "png of 16 bits, colour": png(np.dstack([RAMP16] * 3), 16, 2),
    "png of 16 bits with opacity": png(np.dstack([RAMP16, np.full_like(RAMP16, 65535)]), 16, 4),
    "tiff of 16 bits": tiff(RAMP16, 1, 16),
    "tiff of 16 bits, big-endian": tiff(RAMP16, 1, 16, order=">"),
    "tiff of 16 bits, deflated": tiff(RAMP16, 1, 16, deflated=True),
    "tiff of 16 bits, big-endian, deflated": tiff(RAMP16, 1, 16, order=">", deflated=True),
    "tiff of 16 bits, white is zero": tiff(65535 - RAMP16, 0, 16),
    "tiff of 12 bits": tiff(RAMP16, 1, 12, data=packed_12_bits(ramp(4095, np.uint16))),
    "tiff of 12 bits, deflated": tiff(RAMP16, 1, 12, data=packed_12_bits(ramp(4095, np.uint16)), deflated=True),
    "tiff of 8 bits, white is zero": tiff(255 - RAMP8, 0, 8),
    "float tiff": tiff(RAMPF, 1, 32, 3),
    "float tiff, big-endian": tiff(RAMPF, 1, 32, 3, order=">"),
    "float tiff, deflated": tiff(RAMPF, 1, 32, 3, deflated=True),
    "float tiff, white is zero": tiff(1 - RAMPF, 0, 32, 3),
    "pfm": pfm(RAMPF),
    "pgm of 8 bits": pgm(255, "P5"),
    "pgm of 16 bits": pgm(65535, "P5"),
    "pgm of 12 bits": pgm(4095, "P5"),
    "pgm of 10 bits as text": pgm(1023, "P2"),
    "pgm to 100": pgm(100, "P5"),
    "jpeg 2000 of 16 bits": saved(RAMP16, "JPEG2000"),
    "jpeg 2000 of 12 bits": jpeg2000_of_12_bits(),
}  # fmt: skip
# A square on white: colour of the square and of what is around it.
ON_WHITE = {
    "rgba, green hidden": (saved(with_alpha(RED, GREEN), "PNG"), RED),
    "rgba, black hidden under black": (saved(with_alpha(BLACK, BLACK), "PNG"), BLACK),
    "rgba webp": (saved(with_alpha(RED, GREEN), "WEBP", lossless=True), RED),
    "rgba avif": (saved(with_alpha(RED, GREEN), "AVIF", quality=95), RED),
    "rgba jpeg 2000": (saved(with_alpha(RED, GREEN), "JPEG2000"), RED),
    "rgba tga": (saved(with_alpha(RED, GREEN), "TGA"), RED),
    "rgba tiff": (tiff(with_alpha(RED, GREEN), 2, 8, extra=[2]), RED),
    "rgba tiff, premultiplied": (tiff(with_alpha(RED, BLACK), 2, 8, extra=[1]), RED),
    "rgba tiff of 16 bits": (tiff(with_alpha(RED, GREEN).astype(np.uint16) * 257, 2, 16, extra=[2]), RED),
    "rgba tiff, planar": (tiff(with_alpha(RED, GREEN), 2, 8, planar=2, extra=[2]), RED),
    "rgba of 16 bits": (png(with_alpha(RED, GREEN).astype(np.uint16) * 257, 16, 6), RED),
    "la": (saved(with_alpha([0], [90]), "PNG"), BLACK),
    "la of 16 bits": (png(with_alpha([0], [90]).astype(np.uint16) * 257, 16, 4), BLACK),
    "la tiff": (tiff(with_alpha([0], [90]), 1, 8, extra=[2]), BLACK),
    "la tiff, premultiplied": (tiff(with_alpha([0], [0]), 1, 8, extra=[1]), BLACK),
    "palette, one colour": (indexed(0), RED),
    "palette, a table": (indexed(bytes([0, 255])), RED),
    "gif": (gif(True), RED),
    "rgb, one colour": (png(np.where(SQUARE[..., None], RED, GREEN), 8, 2, trns(*GREEN)), RED),
    "rgb of 16 bits, one colour": (
        png(np.where(SQUARE[..., None], RED, GREEN) * 257, 16, 2, trns(*(c * 257 for c in GREEN))),
        RED,
    ),
    "grey of 1 bit, one colour": (png(np.where(SQUARE, 0, 1), 1, 0, trns(0)), WHITE),
    "grey of 2 bits, one colour": (png(np.where(SQUARE, 0, 2), 2, 0, trns(2)), BLACK),
    "grey of 4 bits, one colour": (png(np.where(SQUARE, 0, 9), 4, 0, trns(9)), BLACK),
    "grey of 8 bits, one colour": (png(np.where(SQUARE, 0, 90), 8, 0, trns(90)), BLACK),
    "grey of 16 bits, one colour": (png(np.where(SQUARE, 0, 9000), 16, 0, trns(9000)), BLACK),
}  # fmt: skip
NO_ORIENTATION = saved(quarters(), "JPEG", quality=95, exif=exif(9))
REFUSED = {
    "int32 tiff": (tiff(ramp(2**31 - 1, np.int64).astype(np.int32), 1, 32, 2), r"signed 32-bit integers"),
    "uint32 tiff": (tiff(ramp(2**32 - 1, np.uint32), 1, 32), r"32-bit integers .* convert it to 8 bits"),
    "int16 tiff": (tiff(ramp(32767, np.int16), 1, 16, 2), r"signed 16-bit integers"),
    "int8 tiff": (tiff(ramp(127, np.int8), 1, 8, 2), r"signed 8-bit integers"),
    "float to 255": (tiff(ramp(255, np.float32), 1, 32, 3), r"floats from 0 to 255, and floats must lie between 0 and 1"),
    "float below 0": (tiff(RAMPF - np.float32(0.5), 1, 32, 3), r"floats from -0\.5 to 0\.5"),
    "float a little above 1": (tiff(RAMPF * np.float32(1.00001), 1, 32, 3), r"floats from 0 to 1\.00001"),
    "float with NaN": (tiff(np.where(SQUARE, np.nan, RAMPF).astype(np.float32), 1, 32, 3), r"from 0 to 1 and 768 NaN"),
    "all NaN": (tiff(np.full_like(RAMPF, np.nan), 1, 32, 3), r"no finite float"),
    "infinite": (tiff(np.where(SQUARE, np.inf, RAMPF).astype(np.float32), 1, 32, 3), r"768 NaN or infinite"),
    "float, big-endian, deflated": (tiff(RAMPF, 1, 32, 3, order=">", deflated=True), r"compressed big-endian floats"),
    "float rgb tiff": (tiff(RGB_FLOAT, 2, 32, 3), r"begins as a file in TIFF format, but .* kind that Pillow cannot read"),
    "tiff of 16 bits in planes": (tiff(RGB16, 2, 16, planar=2), r"each channel in a plane of its own"),
    "la tiff in planes": (tiff(with_alpha([0], [90]), 1, 8, planar=2, extra=[2], deflated=True), r"plane of its own"),
    "tiff of 16 bits without photometric": (tiff(RAMP16, 1, 16, tags={262: []}), r"whether 0 is black or white"),
    "tiff with four channels": (tiff(np.dstack([halves(), RAMP8]), 2, 8), r"fourth channel and does not state"),
    "tiff with small colour table": (tiff(RAMP8, 3, 8, tags={320: [*range(256)] * 3}), r"8-bit numbers where"),
    "ycbcr tiff with half colours": (tiff(halves(), 6, 8, tags={530: [2, 2]}), r"subsampled YCbCr"),
    "cmyk tiff with opacity": (tiff(np.dstack([CMYK, RAMP8]), 5, 8, extra=[2]), r"cannot identify image file"),
    "fits of 16 bits": (
        b"".join(line.ljust(80).encode() for line in ("SIMPLE  = T", "BITPIX  = 16", "NAXIS   = 2", f"NAXIS1  = {WIDTH}", f"NAXIS2  = {HEIGHT}", "END")).ljust(2880) + RAMP16.tobytes(),
        r"16-bit integers of a kind whose black and white are not defined \(FITS\)",
    ),
    "git lfs pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n", r"a Git LFS pointer instead of the image: run git lfs pull"),
    "git-annex pointer": (b"/annex/objects/SHA256E-s123--00.jpg\n", r"a git-annex pointer .*: run git annex get"),
    "html": (b"<html><body>404 Not Found</body></html>", r"an HTML page instead of the image"),
    "html after a comment": (b"\xef\xbb\xbf\n<!-- cached -->\n<!DOCTYPE HTML>", r"an HTML page instead of the image"),
    "svg": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", r"an SVG drawing"),
    "json": (b'{"error": "rate limit"}', r"it holds text, which begins with '\{\"error\": \"rate limit\"\}'"),
    "long text": (b"a line\n" * 900, r"begins with 'a line a line a line a line a line a \.\.\.'"),
    "text in UTF-16": ("nothing here".encode("utf-16"), r"begins with 'nothing here'"),
    "text cut in a character": ("é".encode() * 3000 + b"!", r"begins with 'éé"),
    "empty": (b"", r"it is empty \(0 bytes\)"),
    "zeros": (bytes(5000), r"4,096 bytes of zeros"),
    "noise": (b"\x07\x81\xfe" * 99, r"its 297 bytes are no kind that Pillow knows"),
    "zip": (b"PK\x03\x04" + bytes(60), r"a ZIP archive"),
    "numpy": (b"\x93NUMPY\x01\0" + bytes(60), r"a NumPy array"),
    "dicom": (bytes(128) + b"DICM" + b"\x02" * 60, r"a DICOM file"),
    "heic": (b"\0\0\0\x18ftypheic" + b"\x01" * 60, r"a HEIC image, which Pillow cannot read: convert it"),
    "video": (b"\0\0\0\x18ftypisom" + b"\x01" * 60, r"an MP4 or QuickTime video"),
    "truncated avif": (saved(halves(), "AVIF")[:60], r"a file in AVIF format, but is cut off"),
    "truncated png": (HALVES["png"][:-40], r"truncated"),
    "truncated gif": (HALVES["gif, animated"][:40], r"truncated|cut off"),
    "truncated webp": (HALVES["webp, animated"][:-30], r"truncated \([\d,]+ of [\d,]+ bytes\)"),
    "truncated tiff": (RAMPS["tiff of 16 bits"][:3000], r"cut off"),
    "truncated jpeg": (HALVES["jpeg"][:300], r"(?i)truncated"),
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def call(data: bytes, side: int = SIDE) -> np.ndarray:
        (tmp_path / "a.jpg").write_bytes(data)
        return np.frombuffer(decode(str(tmp_path / "a.jpg"), side), np.uint8).reshape(side, side, 3).astype(int)

    return call


def near(found: np.ndarray, colour, by: int = 3) -> bool:
    return bool((np.abs(found - colour) <= by).all())


@pytest.mark.parametrize("name", HALVES)
def test_left_is_red_and_right_is_blue(read, name):
    pixels, by = read(HALVES[name]), 26 if "lab" in name else 8
    assert near(pixels[:, :7], RED, by) and near(pixels[:, 9:], BLUE, by)


@pytest.mark.parametrize("name", RAMPS)
def test_a_grey_ramp_goes_from_black_to_white(read, name):
    expected = read(RAMPS["8 bits"])
    assert near(read(RAMPS[name]), expected, 1 if "pgm to" not in name else 3)
    assert expected[:, 0].max() < 12 and expected[:, -1].min() > 243


@pytest.mark.parametrize("name", ON_WHITE)
def test_what_is_transparent_is_white(read, name):
    data, colour = ON_WHITE[name]
    pixels = read(data)
    around = np.concatenate([pixels[:3].reshape(-1, 3), pixels[-3:].reshape(-1, 3)])
    assert near(around, WHITE) and near(pixels[6:10, 6:10], colour)


def test_what_is_half_transparent_is_mixed_with_white(read):
    half = with_alpha(BLACK, BLACK, np.full((HEIGHT, WIDTH), 128))
    assert near(read(saved(half, "PNG")), (127, 127, 127), 1)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "drawn",
    [
        lambda o: saved(turned(quarters(), o), "JPEG", quality=95, subsampling=0, exif=exif(o)),
        lambda o: saved(turned(quarters(), o), "PNG", exif=exif(o)),
        lambda o: saved(turned(quarters(), o), "WEBP", lossless=True, exif=exif(o)),
        lambda o: saved(turned(quarters(), o), "AVIF", quality=95, subsampling="4:4:4", exif=exif(o)),
        lambda o: tiff(turned(quarters(), o), 2, 8, tags={274: [o]}),
        lambda o: tiff(turned(quarters(), o), 2, 8, tags={274: [o]}, deflated=True),
        raw_profile,
        xmp,
    ],
    ids=["jpeg", "png", "webp", "avif", "tiff", "deflated tiff", "raw profile", "xmp"],
)
def test_an_image_is_upright_whatever_its_exif_orientation(read, orientation, drawn):
    pixels = read(drawn(orientation))
    for (rows, columns), colour in zip(
        [(slice(7), slice(7)), (slice(7), slice(9, 16)), (slice(9, 16), slice(7)), (slice(9, 16), slice(9, 16))],
        [RED, GREEN, BLUE, WHITE],
    ):
        assert near(pixels[rows, columns], colour, 12), colour


@pytest.mark.parametrize(
    "data",
    [NO_ORIENTATION, saved(quarters(), "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff\1")],
    ids=["an orientation that there is not", "a damaged block"],
)
def test_exif_that_means_nothing_turns_nothing(read, data):
    assert (read(data) == read(saved(quarters(), "JPEG", quality=95))).all()


def test_orientation_and_transparency_and_16_bits_go_together(read):
    grey = np.where(SQUARE, 0, 9000)
    grey[: HEIGHT // 2, WIDTH // 2 :][SQUARE[: HEIGHT // 2, WIDTH // 2 :]] = 32768  # its upper right quarter
    block = chunk(b"eXIf", exif(6).tobytes()[6:])
    pixels = read(png(turned(grey, 6), 16, 0, trns(9000), block))
    assert near(pixels[0], WHITE) and near(pixels[5:7, 9:11], (128,) * 3) and near(pixels[9:11], pixels[9:11, ::-1])
    assert near(pixels[9:11, 5:7], BLACK)


def test_a_crop_is_drawn_in_the_upright_image(tmp_path):
    """Of an image turned by EXIF the same numbers crop the same part as of one that lies upright."""
    rng = np.random.default_rng(0)
    upright = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(saved(upright, "PNG"))
    (tmp_path / "b.png").write_bytes(saved(turned(upright, 8), "PNG", exif=exif(8)))
    for draws in rng.random((20, module.DRAWS)).tolist():
        first, second = (decode(str(tmp_path / name), SIDE, draws) for name in ("a.png", "b.png"))
        assert first == second


NOISE = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
PLAIN = {
    "jpeg": saved(NOISE, "JPEG"), "grey jpeg": saved(NOISE, "JPEG", "L"), "cmyk jpeg": saved(NOISE, "JPEG", "CMYK"),
    "jpeg with exif": saved(NOISE, "JPEG", exif=exif(1)), "progressive jpeg": saved(NOISE, "JPEG", progressive=True),
    "png": saved(NOISE, "PNG"), "grey png": saved(NOISE, "PNG", "L"), "palette png": saved(NOISE, "PNG", "P"),
    "1 bit": saved(NOISE, "PNG", "1"), "opaque rgba png": saved(NOISE, "PNG", "RGBA"), "opaque la png": saved(NOISE, "PNG", "LA"),
    "gif": saved(NOISE, "GIF"), "bmp": saved(NOISE, "BMP"), "webp": saved(NOISE, "WEBP"), "ppm": saved(NOISE, "PPM"),
    "tiff": saved(NOISE, "TIFF"), "deflated tiff": saved(NOISE, "TIFF", compression="tiff_deflate"),
    "jpeg tiff": saved(NOISE, "TIFF", compression="jpeg"), "1 bit tiff": saved(NOISE, "TIFF", "1", compression="group4"),
    "cmyk tiff": saved(NOISE, "TIFF", "CMYK"), "jpeg 2000": saved(NOISE, "JPEG2000"), "avif": saved(NOISE, "AVIF"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_plain_images_of_8_bits_have_the_bytes_that_they_always_had(read, name):
    """The whole algorithm of the versions before the rules for other kinds."""
    image = Image.open(io.BytesIO(PLAIN[name])).convert("RGB").resize((SIDE, SIDE), Image.BILINEAR)
    assert (read(PLAIN[name]) == np.asarray(image)).all()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_or_has_no_agreed_meaning_is_refused(read, name):
    data, message = REFUSED[name]
    with pytest.raises(ImageError, match=message):
        read(data)


def test_other_kinds_of_file_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # to open it would wait for ever
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link.jpg").symlink_to("../store/9.jpg")
    (tmp_path / "failing.jpg").symlink_to("/proc/self/mem")  # reading it is an input/output error
    for name, message in {
        "pipe.jpg": "not a regular file", "folder.jpg": "a folder, not an image file", "file/a.jpg": "its folder is a file",
        "link.jpg": r"a link to '\.\./store/9\.jpg', which does not exist", "failing.jpg": "it cannot be read: Input/output error",
        "none.jpg": "^no such file$", "a\0.jpg": "no such file", "a" * 300: "it cannot be read: File name too long",
    }.items():  # fmt: skip
        with pytest.raises(ImageError, match=message):
            decode(str(tmp_path / name), SIDE)


def test_a_link_is_what_it_points_to(tmp_path, read):
    there = read(HALVES["png"])
    (tmp_path / "link.png").symlink_to(tmp_path / "a.jpg")
    assert (np.frombuffer(decode(str(tmp_path / "link.png"), SIDE), np.uint8) == there.ravel()).all()


def test_a_very_large_file_is_read_where_it_lies(tmp_path, read, monkeypatch):
    expected = read(HALVES["bmp"])
    monkeypatch.setattr(module, "AT_ONCE", 100)
    assert (read(HALVES["bmp"]) == expected).all()
    with pytest.raises(ImageError, match="a NumPy array"):
        read(b"\x93NUMPY" + bytes(200))
    (tmp_path / "a.jpg").write_bytes(HALVES["bmp"])
    content = module.content_of(str(tmp_path / "a.jpg"))
    assert decode(str(tmp_path / "a.jpg"), SIDE, (), content)
    with pytest.raises(module.ImageChanged):
        decode(str(tmp_path / "a.jpg"), SIDE, (), bytes(16))


@pytest.mark.usefixtures("not_quick")
def test_decoding_8_bits_loads_no_numpy(tmp_path):
    """The store's worker processes start in a quarter of the time so."""
    for name in ("jpeg", "png with 16 bits a channel", "cmyk jpeg"):
        (tmp_path / name).write_bytes(HALVES[name])
    (tmp_path / "rgba").write_bytes(ON_WHITE["rgba, green hidden"][0])
    (tmp_path / "turned").write_bytes(saved(quarters(), "JPEG", exif=exif(6)))
    code = (
        "import sys; from pathlib import Path; from common.data.decode import decode\n"
        f"for file in Path({str(tmp_path)!r}).iterdir(): decode(str(file), 16)\n"
        "print('numpy' in sys.modules, len(sys.argv))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("False")


def test_a_run_on_pointers_says_what_to_do(bench, tmp_path):
    (tmp_path / "images").mkdir()
    for i in range(10):
        (tmp_path / "images" / f"{i}.jpg").write_bytes(REFUSED["git lfs pointer"][0])
    rows = "".join(f"{i}.jpg,{'cat;dog' if i % 2 else 'dog'}\n" for i in range(10))
    (tmp_path / "train.csv").write_text("image,labels\n" + rows)
    done = bench("--frameworks", "fake", "--data", tmp_path, "--results-dir", tmp_path / "results")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "10 of the 10 images" in done.stderr and "run git lfs pull" in done.stderr
