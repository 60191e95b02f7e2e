"""Numbers, settings and commands as a person reads them."""

import shlex
from collections.abc import Mapping


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


def config_text(config: Mapping[str, str | int]) -> str:
    """{"precision": "bfloat16", "micro batch": 8} -> 'precision bfloat16, micro batch 8'."""
    return ", ".join(f"{setting} {value}" for setting, value in config.items())
