"""Every lane on a GPU, where one is: fenced, with the device's peak memory, and the chip named."""

import pytest

from common.analysis.grouping import MARK
from common.analysis.records import read_results
from common.core.errors import InputError
from common.core.machine import machine
from common.run.device import choose


@pytest.fixture(scope="module", params=["torch", "tf"])
def on_gpu(request):
    """The name of a framework that sees the GPU."""
    if not machine().get("GPU"):
        pytest.skip("needs a GPU")
    try:
        choose("cuda", [request.param])
    except InputError as error:
        pytest.skip(str(error))
    return request.param


@pytest.mark.parametrize("trained", ["head", "all"])
def test_every_lane_runs_on_a_gpu(bench, on_gpu, tmp_path, trained):
    arguments = ["--frameworks", on_gpu, "--models", "efficientnet_lite0", "--train", trained, "--lane", "default", "tuned",
                 "--device", "cuda", "--limit", 200, "--ceilings", "--results-dir", tmp_path, "--name", "gpu"]  # fmt: skip
    done = bench(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_results(tmp_path / "gpu")
    assert len(found.rows) == 2
    for record in (row.record for row in found.rows):
        assert record.spec.process.device == "cuda" and record.peak_device_bytes > 0
        assert max(record.ceilings.peaks["float32"].values()) > 1000  # of a CPU: a tenth of it
    page = (tmp_path / "gpu" / "results.md").read_text()
    assert machine()["GPU"].partition(",")[0] in page and MARK not in page


def test_steps_on_a_gpu_are_timed_when_they_are_done(bench, on_gpu, tmp_path):
    """Without the fence an epoch seems to take what handing the work over takes; parts that were told would show it."""
    arguments = ["--frameworks", on_gpu, "--models", "efficientnet_lite0", "--train", "all", "--device", "cuda"]
    done = bench(*arguments, "--epochs", 3, "--ceilings", "--results-dir", tmp_path, "--name", "gpu")
    assert done.returncode == 0, done.stdout + done.stderr
    record = read_results(tmp_path / "gpu").rows[0].record
    later = record.epochs[-1]
    assert later.images / later.train_s <= 1.2 * record.ceilings.compute
