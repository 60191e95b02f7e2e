"""Numbers, settings and commands as a person reads them."""

import shlex
from collections.abc import Mapping
from typing import Any


def command(*arguments: object) -> str:
    """The line that calls the harness with these words."""
    return shlex.join(["uv", "run", "python", "run_bench.py", *map(str, arguments)])


def size_text(n_bytes: float) -> str:
    """1536 -> '1.5 KiB'."""
    for unit in ("B", "KiB", "MiB"):
        if n_bytes < 1024:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.2f} GiB"


def time_text(seconds: float) -> str:
    """75 -> '1 min 15 s'."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def shortened(text: str, most: int) -> str:
    """The text, or its beginning up to a whole word."""
    return text if len(text) <= most else text[: most - 3].rpartition(" ")[0] + " ..."


def way_words(way: Mapping[str, Any]) -> str:
    return ", ".join(f"{setting} {value}" for setting, value in way.items())


def tried_words(tried: Mapping[str, Any]) -> str:
    """A way that the tuned lane tried, and what came of it: its rate, why it was skipped, or how it failed."""
    rate = f"{tried['images_per_s']:.1f} images/s" if "images_per_s" in tried else ""
    return f"{way_words(tried['way'])}: {rate or tried.get('skipped') or 'failed, ' + tried['failed']}"
