"""A file's bytes -> its text: which encoding, and what is no text at all."""

import codecs
import json
import re
from pathlib import Path
from typing import Any

from common.core.errors import InputError

# Longest first: UTF-32's little-endian mark begins with UTF-16's.
MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
         codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip
_ODD_ESCAPE = re.compile(r"\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|0000)")
_SURROGATE = re.compile("[\\ud800-\\udfff]")
BINARY = {
    b"PK\x03\x04": "an Excel workbook or another zip archive: save it as CSV (in Excel: Save As, CSV UTF-8), or unpack it",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook: save it as CSV (in Excel: Save As, CSV UTF-8)",
    b"PAR1": "a Parquet file: write it as CSV (pandas.read_parquet(FILE).to_csv(NEW, index=False))",
    b"\x1f\x8b": "compressed with gzip: unpack it (gzip -d FILE)",
}


def read_text(path: Path, encoding: str = "") -> tuple[str, str]:
    """The file's text and its encoding: the one that is named, else by its byte order mark, else UTF-8."""
    data = path.read_bytes()
    check_text(path, data)
    marked = next((name for mark, name in MARKS.items() if data.startswith(mark)), "")
    found = encoding or marked or "utf-8"
    if encoding and data.startswith(codecs.BOM_UTF8) and not _is_utf8(encoding):
        raise InputError(
            f"{path} begins with the byte order mark of UTF-8, but --encoding {encoding} names another; leave it out"
        )
    if found == "utf-8" and not encoding and _looks_wide(data):
        raise InputError(f"{path} is not UTF-8 text (every other byte is 0); {_wide(data)}")
    try:
        text = data.decode(found).removeprefix("\ufeff")
    except LookupError:
        raise InputError(f"--encoding {encoding}: no such encoding; e.g. utf-8, latin-1, cp1252, utf-16") from None
    except UnicodeError as error:
        raise InputError(f"{path} is not {found} text ({_where(data, error)}); {_way_out(data, encoding)}") from None
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise InputError(
            f"{path} has a character NUL in line {line}, which no text has; is it whole, and is {found} its encoding? "
            "--encoding NAME names another"
        )
    return text, found


def _is_utf8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    except LookupError:
        return True  # refused as no encoding


def check_text(path: Path, data: bytes) -> None:
    """InputError where a file begins as a workbook or an archive does. data: the first bytes at least."""
    kind = next((kind for magic, kind in BINARY.items() if data.startswith(magic)), "")
    if kind:
        raise InputError(f"{path} is {kind}")


def from_json(text: str) -> Any:
    """What a JSON text holds. ValueError also for half of a surrogate pair and for NUL, which no name may have, and for an
    object with a key twice, of which Python would keep the last."""
    found = json.loads(text, object_pairs_hook=_unique)
    if odd := _ODD_ESCAPE.search(text):
        whole = json.dumps(found, ensure_ascii=False)
        if _SURROGATE.search(whole) or "\\u0000" in whole:
            raise ValueError(f"{odd[0]} is no character")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return found


def _looks_wide(data: bytes) -> bool:
    return data[:400].count(0) > len(data[:400]) // 4


def _wide(data: bytes) -> str:
    name = "utf-16-be" if data[:400:2].count(0) > data[1:400:2].count(0) else "utf-16-le"
    return f"it looks like UTF-16 without a byte order mark: take --encoding {name}, or save it as UTF-8"


def _where(data: bytes, error: UnicodeError) -> str:
    if not isinstance(error, UnicodeDecodeError):
        return str(error)
    line = data.count(b"\n", 0, error.start) + 1
    return f"byte 0x{data[error.start]:02x} in line {line}"


def _way_out(data: bytes, encoding: str) -> str:
    if encoding:
        return "name the encoding that it was saved in, or leave out --encoding"
    if _looks_wide(data):
        return _wide(data)
    return (
        "save it as UTF-8, or name its encoding: --encoding latin-1 or cp1252 (Western Windows), "
        "cp1250, cp1251, gb18030, shift_jis, ..."
    )


def first_line(path: Path, encoding: str = "") -> str:
    """The header as a reader sees it, whatever the encoding; "" where the file cannot be read."""
    with open(path, "rb") as stream:
        data = stream.read(65536)
    found = encoding or next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(found, errors="replace").removeprefix("\ufeff")
    except LookupError:
        return ""
    return re.split(r"\r\n|\r|\n", text, maxsplit=1)[0]
