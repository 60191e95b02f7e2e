"""PURE: Results -> what further devices gained over one, for the same work."""

import numpy as np

from common.analysis.comparison import by_seed, seconds
from common.analysis.grouping import Group, fault, machines
from common.analysis.stats import ratio_interval
from common.core.results import Results
from common.report.table import NONE, Table


def scaled(everything: list[Group]) -> list[tuple[Group, Group]]:
    """Each job that finished on one device and on several: both lines."""

    def job(g: Group) -> tuple:
        spec = g.first.record.spec
        return spec.framework, spec.model, spec.weights.source, spec.recipe.train, spec.feed.balance, spec.lane

    one = {job(g): g for g in everything if g.rows and g.first.record.spec.process.devices == 1}
    more = [g for g in everything if g.rows and g.first.record.spec.process.devices > 1]
    return [(one[job(g)], g) for g in more if job(g) in one]


def scaling_table(results: Results, both: list[tuple[Group, Group]]) -> Table:
    """Images a second, how many times as many, and that over the number of devices."""
    rows = []
    for one, more in both:
        devices, processor = more.first.record.spec.process.devices, more.first.record.spec.process.device == "cpu"
        speeds = [f"{np.median(1 / seconds(g)):.1f}" for g in (one, more)]
        each = [by_seed(g) for g in (one, more)]
        seeds = sorted(each[0].keys() & each[1].keys())
        marked = fault(one, results.paired) or fault(more, results.paired)
        if not seeds or marked or len(machines([one, more])) > 1:
            rows.append((more.label, str(devices), *speeds, NONE, NONE))
            continue
        gain = ratio_interval(*(np.array([found[seed] for seed in seeds]) for found in each))
        words = f"{gain.estimate:.2f}" + (f" [{gain.low:.2f}, {gain.high:.2f}]" if len(seeds) > 1 else "")
        rows.append((more.label, str(devices), *speeds, words, f"{gain.estimate / (1 if processor else devices):.0%}"))
    notes = (
        "gain: images/s in later epochs over those of one device, geometric mean over the seeds of both, with its 99.5 % interval where "
        "there are several. efficiency: the gain over the number of devices; on a processor, whose cores the devices share, the "
        "gain itself. The global batch is the same.",
    )
    header = ("row", "devices", "images/s on one", "images/s", "gain", "efficiency")
    return Table("Several devices against one", header, tuple(rows), notes)
