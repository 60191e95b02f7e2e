"""Run all checks on one framework: python -m frameworks.checks NAME [MODEL]. One line per check, then a summary.

Tracebacks of failed checks go to stderr. Exit codes: 0 all kept, 1 one failed, 2 bad input.
"""

import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from common.core.errors import InputError
from frameworks.checks.catalogue import CHECKS
from frameworks.checks.context import Check, Context, Skip, contexts


def outcome(check: Check, context: Context) -> tuple[str, str]:
    """'passed', 'skipped' or 'FAILED', with the reason in one line."""
    try:
        check.run(context)
    except Skip as reason:
        return "skipped", str(reason)
    except Exception as error:
        traceback.print_exc()
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        return "FAILED", kind + " ".join(str(error).split())
    return "passed", ""


def main(framework: str, model: str = "") -> int:
    try:
        context_in = contexts(framework, model)
    except InputError as error:
        print(f"check-adapter: error: {error}", file=sys.stderr)
        return 2
    counts: Counter[str] = Counter()
    for check in CHECKS:
        with tempfile.TemporaryDirectory() as folder:
            status, reason = outcome(check, context_in(Path(folder)))
        counts[status] += 1
        print(": ".join(filter(None, [check.name, status, reason])), flush=True)
    print(
        ", ".join(f"{counts[status]} {status.lower()}" for status in ("FAILED", "passed", "skipped") if counts[status])
    )
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
