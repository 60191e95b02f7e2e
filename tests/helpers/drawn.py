"""Small image files of kinds that Pillow does not write: PNG and TIFF by their own specifications, and halves to know again."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 64, 48
RED, BLUE, GREEN, WHITE, BLACK = (250, 0, 0), (0, 0, 250), (0, 255, 0), (255, 255, 255), (0, 0, 0)
ORIENTATION = 0x0112


def halves(left=RED, right=BLUE) -> np.ndarray:
    """uint8 [48, 64, channels]."""
    picture = np.empty((HEIGHT, WIDTH, len(left)), np.uint8)
    picture[:, : WIDTH // 2], picture[:, WIDTH // 2 :] = left, right
    return picture


def ramp(top: float, kind: type) -> np.ndarray:
    """[48, 64]: 0 at the left, `top` at the right."""
    return np.tile(np.linspace(0, top, WIDTH).astype(kind), (HEIGHT, 1))


def quarters() -> np.ndarray:
    """Red and green above blue and white."""
    return np.concatenate([halves(RED, GREEN)[: HEIGHT // 2], halves(BLUE, WHITE)[HEIGHT // 2 :]])


def turned(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The rows that a file with this EXIF orientation keeps, so that a viewer shows `upright`."""
    return {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.swapaxes(0, 1),
        6: np.rot90(upright), 7: np.rot90(upright, 2).swapaxes(0, 1), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip


def saved(picture, form: str, mode: str | None = None, **options) -> bytes:
    """What Pillow writes."""
    stream = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block[ORIENTATION] = orientation
    return block


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples: np.ndarray, bits: int, colour: int, *chunks: bytes) -> bytes:
    """samples: [h, w] or [h, w, channels]; colour: PNG's colour type; chunks: between header and pixels."""
    height, width = samples.shape[:2]
    if bits < 8:  # of one channel
        each = samples[..., None] >> np.arange(bits)[::-1] & 1
        rows = np.packbits(each.reshape(height, -1).astype(np.uint8), axis=1)
    else:
        rows = np.ascontiguousarray(samples.astype(">u2" if bits == 16 else np.uint8))
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    body = b"".join([chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")])
    return b"\x89PNG\r\n\x1a\n" + body


def with_right_checksums(data: bytes) -> bytes:
    """A PNG whose chunks were mutated, as far as they can be followed: else every reader stops at the first checksum."""
    at, parts = 8, [data[:8]]
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        parts.append(chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return b"".join(parts)


def packed_12_bits(values: np.ndarray) -> bytes:
    """Two samples in three bytes, the high bits first."""
    first, second = values[:, ::2].astype(int), values[:, 1::2].astype(int)
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8).tobytes()


def tiff(
    samples: np.ndarray, photometric: int, bits: int, form: int = 1, order: str = "<", planar: int = 1, deflated: bool = False,
    extra: list[int] | None = None, tags: dict[int, list[int]] | None = None, data: bytes = b"",
) -> bytes:  # fmt: skip
    """A TIFF with a strip, or one for each channel (planar 2). form: of a sample, 1 unsigned, 2 signed, 3 float; order:
    "<" or ">"; extra: what further channels are; data: the strip's bytes, where they are not just the samples."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    planes = [samples[..., c] for c in range(channels)] if planar == 2 else [samples]
    ordered = samples.dtype.newbyteorder(order)
    strips = [data] if data else [np.ascontiguousarray(plane).astype(ordered).tobytes() for plane in planes]
    strips = [zlib.compress(strip) if deflated else strip for strip in strips]
    entries = {
        256: [width], 257: [height], 258: [bits] * channels, 259: [8 if deflated else 1], 262: [photometric],
        277: [channels], 278: [height], 284: [planar], 339: [form] * channels, **({338: extra} if extra else {}), **(tags or {}),
    }  # fmt: skip
    entries = {tag: (3, "H", values) for tag, values in entries.items() if values}
    body, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(body))
        body += strip + b"\0" * (len(strip) % 2)
    entries |= {273: (4, "L", offsets), 279: (4, "L", [len(strip) for strip in strips])}
    there = 8 + len(body)
    after, table, far = there + 2 + 12 * len(entries) + 4, b"", b""
    for tag, (kind, letter, values) in sorted(entries.items()):
        packed = struct.pack(order + letter * len(values), *values)
        if len(packed) > 4:
            packed, far = struct.pack(order + "L", after + len(far)), far + packed
        table += struct.pack(order + "HHL", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HL", 42, there)
    return head + body + struct.pack(order + "H", len(entries)) + table + bytes(4) + far
