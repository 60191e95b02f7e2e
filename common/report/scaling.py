"""PURE: Results -> what further devices gained over one, for the same work."""

from dataclasses import replace

import numpy as np

from common.analysis.comparison import by_seed, seconds
from common.analysis.grouping import Group, fault, machines
from common.analysis.stats import ratio_interval
from common.core.results import Results
from common.report.table import NONE, Table


def scaled(everything: list[Group]) -> list[tuple[Group, Group]]:
    """Each job that finished on one device and on several: both lines."""
    one = {g.key: g for g in everything if g.rows and g.key.devices == 1}
    more = [(replace(g.key, devices=1), g) for g in everything if g.rows and g.key.devices > 1]
    return [(one[alone], g) for alone, g in more if alone in one]


def scaling_table(results: Results, both: list[tuple[Group, Group]]) -> Table:
    """Images a second, how many times as many, and that over the number of devices."""
    rows = []
    for one, more in both:
        devices, processor = more.key.devices, more.spec.process.device == "cpu"
        speeds = [f"{np.median(1 / seconds(g)):.1f}" for g in (one, more)]
        each = [by_seed(g) for g in (one, more)]
        seeds = sorted(each[0].keys() & each[1].keys())
        marked = fault(one, results.paired) or fault(more, results.paired)
        if not seeds or marked or len(machines([one, more])) > 1:
            rows.append((more.label, str(devices), *speeds, NONE, NONE))
            continue
        gain = ratio_interval(np.array([each[0][seed] for seed in seeds]), np.array([each[1][seed] for seed in seeds]))
        words = f"{gain.estimate:.2f}" + (f" [{gain.low:.2f}, {gain.high:.2f}]" if len(seeds) > 1 else "")
        rows.append((more.label, str(devices), *speeds, words, f"{gain.estimate / (1 if processor else devices):.0%}"))
    notes = (
        "gain: images/s in later epochs over those of one device, geometric mean over the seeds of both, with its 99.5 % interval where "
        "there are several. efficiency: the gain over the number of devices; on a processor, whose cores the devices share, the "
        "gain itself. The global batch is the same.",
    )
    header = ("row", "devices", "images/s on one", "images/s", "gain", "efficiency")
    return Table("Several devices against one", header, tuple(rows), notes)
