"""When a run started: UTC to the second in its record; old records with local minutes stay readable."""

from datetime import UTC, datetime

FORM = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    """The time in UTC, e.g. 2026-11-28T00:42:20Z."""
    return datetime.now(UTC).strftime(FORM)


def in_order(started: str) -> tuple[datetime, str]:
    """A key that sorts start times. A time without a zone is of an old record, in a zone that nobody wrote down: it is
    sorted as UTC. What is no time at all comes first, by its text."""
    try:
        found = datetime.fromisoformat(started)
    except ValueError:
        found = datetime.min
    return found if found.tzinfo else found.replace(tzinfo=UTC), started


def start_text(started: str) -> str:
    """A start time as a reader sees it: 2026-11-28 00:42:20 UTC; that of an old record as it was written."""
    try:
        return datetime.strptime(started, FORM).strftime("%Y-%m-%d %H:%M:%S UTC")
    except ValueError:
        return started
