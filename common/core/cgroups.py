"""The CPU quota of the control group that this process is in, as a container's --cpus sets it: cgroup v1 and v2."""

import contextlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PROC = Path("/proc/self")


@dataclass(frozen=True)
class Quota:
    """How many cores' time a group may use, e.g. 0.5."""

    cores: float
    folder: Path  # of the group that sets it: the process's own or a parent of it


@dataclass(frozen=True)
class _Mount:
    """Where the files of a hierarchy lie, and which group lies at that place."""

    point: Path
    root: PurePosixPath


def quota(proc: Path = PROC) -> Quota | None:
    """The smallest quota of the process's group and its parents; None where there is none, or no control groups.

    proc: the folder with the process's `cgroup` and `mountinfo`.
    """
    try:
        groups = (proc / "cgroup").read_text(encoding="utf-8", errors="replace")
        mounts = (proc / "mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = []
    for line in groups.splitlines():
        if line.count(":") < 2:
            continue
        number, controllers, group = line.split(":", 2)
        v2 = number == "0" and not controllers
        if v2 or "cpu" in controllers.split(","):
            for mount in _mounts(mounts, v2):
                found += [set_here for folder in _folders(mount, group) if (set_here := _quota_of(folder, v2))]
    return min(found, key=lambda quota: quota.cores, default=None)


def _mounts(mountinfo: str, v2: bool) -> list[_Mount]:
    """The mounts of the unified hierarchy, or those of v1's controller `cpu`."""
    found = []
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(" - ")
        names, kind = fields.split(), rest.split()
        if len(names) < 5 or not kind:
            continue
        if kind[0] == "cgroup2" if v2 else kind[0] == "cgroup" and "cpu" in kind[-1].split(","):
            found.append(_Mount(Path(_plain(names[4])), PurePosixPath(_plain(names[3]))))
    return found


def _plain(path: str) -> str:
    """The kernel writes blanks in a path as \\040."""
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _folders(mount: _Mount, group: str) -> list[Path]:
    """The group's folder and those of its parents, up to the mount. In a container without a namespace of its own the group
    is named as the host sees it: then the mount shows the container's group alone."""
    try:
        below = PurePosixPath(group).relative_to(mount.root)
    except ValueError:
        below = PurePosixPath()
    if ".." in below.parts:
        below = PurePosixPath()
    return [mount.point / part for part in (below, *below.parents)]


def _quota_of(folder: Path, v2: bool) -> Quota | None:
    """What the group itself sets: `max` and -1 are none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        if v2:
            allowed, period = (folder / "cpu.max").read_text(encoding="utf-8").split()[:2]
        else:
            allowed, period = (
                (folder / f"cpu.cfs_{what}_us").read_text(encoding="utf-8") for what in ("quota", "period")
            )
        if float(allowed) > 0 and float(period) > 0:
            return Quota(float(allowed) / float(period), folder)
    return None
