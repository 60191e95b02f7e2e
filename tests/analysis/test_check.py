"""The check fires on what it is for, and on nothing else; every exit code."""

import json
import shutil

import numpy as np
import pytest

from common.analysis import scores
from common.analysis.check import FINE, NOT_COMPARABLE, NOTHING, WORSE, Line, Report, compare
from common.analysis.records import read_results
from common.analysis.summary import Baseline, summarise
from common.core.errors import InputError
from common.data.formats import demo
from common.report.verdict import verdict_table
from tests.helpers.checked import TRIAL, flags, tampered


def codes(report):
    return {line.metric: line.verdict for line in report.lines}


def test_the_same_run_again_is_fine(bench, good):
    assert bench(*flags(good, "again")).returncode == 0
    done = bench("check", good / "again", "--baseline", good / "base.json", "--markdown", good / "pr.md")
    assert done.returncode == FINE, done.stdout
    title, _, text = (good / "pr.md").read_text().partition("\n")
    # The times of so short a run are the machine's: where others use it too, it may be said of them that they got worse.
    worse = "no score got worse; times or memory did" if "| slower |" in text else "nothing got worse"
    assert title == f"## Check: {worse}" and ("Nothing got worse" in done.stdout) == (worse == "nothing got worse")


def test_a_swapped_class_is_worse(bench, good):
    def swap(logits):
        logits[:, [2, 3]] = logits[:, [3, 2]]
        return logits

    done = bench("check", tampered(good, "swapped", swap), "--baseline", good / "base.json")
    assert done.returncode == WORSE
    assert "AP of class 2" in done.stdout or "AP of class 3" in done.stdout


def test_a_percentile_off_by_one_is_worse(good, monkeypatch):
    """Scored one percentile below what the table says: another number of labels is picked."""
    base = summarise(read_results(good / "good"))
    real = scores.picks
    monkeypatch.setattr(scores, "picks", lambda s, percentile: real(s, percentile - 1))
    report = compare(summarise(read_results(good / "good")), base)
    assert report.exit_code == WORSE
    assert "worse" in (codes(report)["precision at 95"], codes(report)["f1 at 95"])


def test_a_dropped_image_is_worse(good):
    """One image fewer among those scored, or among those trained on: counts have no tolerance."""
    base = summarise(read_results(good / "good"))
    results = read_results(good / "good")
    row = results.rows[0]
    fewer = row.model_copy(update={"scores": row.scores.model_copy(update={"images": row.scores.images - 1})})
    report = compare(summarise(results.model_copy(update={"rows": (fewer,)})), base)
    assert report.exit_code == WORSE and codes(report)["images scored"] == "worse"
    epochs = (
        row.record.epochs[0].model_copy(update={"images": row.record.epochs[0].images - 1}),
        *row.record.epochs[1:],
    )
    lazy = row.model_copy(update={"record": row.record.model_copy(update={"epochs": epochs})})
    report = compare(summarise(results.model_copy(update={"rows": (lazy,)})), base)
    assert report.exit_code == WORSE and codes(report)["images trained"] == "worse"


def test_a_trial_that_drops_an_image_is_worse(bench, good, tmp_path):
    """A framework that predicts one image fewer: its row fails, and the check with it."""
    name = "lie"
    assert bench(*flags(tmp_path, name), "--models", name).returncode == 1
    base = json.loads((good / "base.json").read_text())
    base["rows"][0]["label"] = base["rows"][0]["label"].replace("logistic", name)
    base["rows"][0]["settings"]["model"] = name
    (tmp_path / "base.json").write_text(json.dumps(base))
    done = bench("check", tmp_path / name, "--baseline", tmp_path / "base.json")
    assert done.returncode == WORSE and "finished in the baseline, but not in this run" in done.stdout


def test_a_run_trained_on_shuffled_labels_is_worse(bench, good, tmp_path):
    """The training rows' labels permuted, the validation rows' left as they are: the same split, less learnt. As another table
    under the same name it is not comparable; where the table was the same and the fault lay behind it, it is worse."""
    scenes = demo.read(demo.Path("demo")).first(600)
    with np.load(good / "good" / "plans" / "seed0-none.npz") as plan:
        rows = plan["train_rows"]
    labels = scenes.labels.copy()
    labels[rows] = labels[np.random.default_rng(0).permutation(rows)]
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "data").symlink_to(scenes.folder + "/data")
    for name, matrix in (("plain", scenes.labels), ("shuffled", labels)):
        lines = [f"{i},{' '.join(map(str, np.flatnonzero(row)))},x" for i, row in zip(scenes.ids, matrix)]
        (tmp_path / "demo" / "train.csv").write_text("ImageID,Labels,Caption\n" + "\n".join(lines) + "\n")
        assert bench(*flags(tmp_path, name, "--data", tmp_path / "demo")).returncode == 0
    base = tmp_path / "base.json"
    assert bench("check", tmp_path / "plain", "--baseline", base, "--update-baseline").returncode == 0
    assert bench("check", tmp_path / "plain", "--baseline", base).returncode == FINE
    done = bench("check", tmp_path / "shuffled", "--baseline", base)
    assert done.returncode == NOT_COMPARABLE and "other labels" in done.stdout, done.stdout
    before, now = (summarise(read_results(tmp_path / name)) for name in ("plain", "shuffled"))
    rows = tuple(new.model_copy(update={"context": old.context}) for new, old in zip(now.rows, before.rows))
    assert compare(now.model_copy(update={"rows": rows}), before).exit_code == WORSE


def test_a_failed_trial_is_worse(good):
    results = read_results(good / "good")
    row = results.rows[0]
    failed = row.model_copy(update={"record": row.record.model_copy(update={"status": "failed"}), "scores": {}})
    report = compare(summarise(results.model_copy(update={"rows": (failed,)})), summarise(results))
    assert report.exit_code == WORSE and report.failed


def test_an_improvement_never_fails(good):
    now, base = (summarise(read_results(good / "good")) for _ in range(2))
    row = now.rows[0]
    better = {n: m.model_copy(update={"values": {s: v + 0.3 * (1 if m.lower_is_worse else -v) for s, v in m.values.items()}})
              for n, m in row.metrics.items()}  # fmt: skip
    report = compare(now.model_copy(update={"rows": (row.model_copy(update={"metrics": better}),)}), base)
    assert report.exit_code == FINE
    assert "better" in codes(report).values() and "worse" not in codes(report).values()


def slower(good):
    now = summarise(read_results(good / "good"))
    row = now.rows[0]
    metrics = row.metrics | {"epoch s": row.metrics["epoch s"].model_copy(update={"values": {"0": 1e6}})}
    return now.model_copy(update={"rows": (row.model_copy(update={"metrics": metrics}),)})


def test_times_are_reported_and_fail_only_where_asked(good):
    base = summarise(read_results(good / "good"))
    report = compare(slower(good), base)
    assert (report.exit_code, codes(report)["epoch s"]) == (FINE, "slower")
    assert compare(slower(good), base, fail_on_times=True).exit_code == WORSE


@pytest.mark.parametrize(
    ("more", "what"),
    [(("--epochs", "2"), "recipe"), (("--limit", "500"), "plan of seed 0"), (("--image-size", "16"), "image side"), (("--seed", "3"), "seeds")],
)  # fmt: skip
def test_another_plan_or_recipe_is_not_comparable(bench, good, tmp_path, more, what):
    assert bench(*flags(tmp_path, "other"), *more).returncode == 0
    done = bench("check", tmp_path / "other", "--baseline", good / "base.json")
    assert done.returncode == NOT_COMPARABLE
    assert what in done.stdout.replace("\n", " ")


def test_another_model_is_not_comparable(bench, good, tmp_path):
    assert bench(*flags(tmp_path, "other"), "--models", "worse").returncode == 0
    done = bench("check", tmp_path / "other", "--baseline", good / "base.json")
    assert done.returncode == NOT_COMPARABLE and "other model or recipe" in done.stdout.replace("\n", " ")


def renamed(summary, framework):
    row = summary.rows[0]
    return row.model_copy(update={"label": f"{framework} x", "framework": framework})


def test_other_frameworks_leave_nothing_to_compare(good):
    base = summarise(read_results(good / "good"))
    report = compare(base.model_copy(update={"rows": (renamed(base, "another"),)}), base)
    assert report.exit_code == NOTHING
    assert compare(base.model_copy(update={"rows": ()}), base).exit_code == NOTHING


def test_a_row_that_is_no_longer_run_is_worse(good):
    """A framework left out of the suite must not pass for a green check."""
    now = summarise(read_results(good / "good"))
    base = now.model_copy(update={"rows": (*now.rows, renamed(now, "another"))})
    report = compare(now, base)
    assert report.exit_code == WORSE and report.absent == ("another x",)


def test_a_damaged_run_could_not_be_checked(bench, good):
    """Exit 2, not 1: nothing got worse that could be seen."""
    for number, file in enumerate(("run.json", f"trials/{TRIAL}/logits.npz", f"trials/{TRIAL}/spec.json")):
        run = good / f"damaged{number}"
        shutil.copytree(good / "good", run)
        (run / file).write_bytes((run / file).read_bytes()[:100])
        done = bench("check", run, "--baseline", good / "base.json")
        assert done.returncode == 2 and "is damaged" in done.stderr and "Traceback" not in done.stderr, file


@pytest.mark.parametrize("content", ["5", "[1]", "null", '{"schema_version": 1}'])
def test_a_record_that_is_none_is_damaged(good, tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"is damaged|schema version"):
        read_results(tmp_path)


def test_a_flipped_byte_is_damage_or_harmless(good, tmp_path):
    """Every 7th byte of the logits' file, one at a time: the checksum of the zip, never a traceback."""
    run = tmp_path / "flipped"
    shutil.copytree(good / "good", run)
    file = run / "trials" / TRIAL / "logits.npz"
    whole, refused = file.read_bytes(), 0
    step = max(1, len(whole) // 150)
    for place in range(0, len(whole), step):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_results(run)
        except InputError as error:
            refused += 1
            assert "is damaged" in str(error)
    assert refused > 100


def test_a_number_that_is_none_is_worse(good):
    now = summarise(read_results(good / "good"))
    row = now.rows[0]
    lost = row.model_copy(
        update={"metrics": row.metrics | {"mAP": row.metrics["mAP"].model_copy(update={"values": {"0": float("nan")}})}}
    )
    report = compare(now.model_copy(update={"rows": (lost,)}), now)
    assert report.exit_code == WORSE and codes(report)["mAP"] == "worse"


def test_other_versions_and_machine_are_listed_and_no_reason(good):
    now, base = (summarise(read_results(good / "good")) for _ in range(2))
    report = compare(now.model_copy(update={"context": now.context | {"numpy": "9"}}), base)
    assert report.exit_code == FINE and any(text.startswith("numpy: ") for text in report.context)


def repeated(summary, by_seed):
    """The summary with its F1 at 95 as given, seed by seed."""
    row = summary.rows[0]
    f1 = row.metrics["f1 at 95"].model_copy(update={"values": by_seed})
    trained = row.metrics["images trained"].model_copy(update={"values": {s: 900 + int(s) for s in by_seed}})
    metrics = {"f1 at 95": f1, "images trained": trained}
    row = row.model_copy(update={"plans": {s: f"plan{s}" for s in by_seed}, "metrics": metrics})
    return summary.model_copy(update={"rows": (row,)})


def test_seeds_are_compared_with_themselves(good):
    """Splits differ by .03 from each other; a fall of .005 on each of them is still seen, and nothing else is."""
    summary = summarise(read_results(good / "good"))
    base = repeated(summary, {"0": 0.70, "1": 0.73, "2": 0.76})
    assert compare(base, base).exit_code == FINE
    report = compare(repeated(summary, {"0": 0.695, "1": 0.7252, "2": 0.7549}), base)
    assert report.exit_code == WORSE and codes(report)["f1 at 95"] == "worse"
    noisy = compare(repeated(summary, {"0": 0.74, "1": 0.71, "2": 0.72}), base)
    assert noisy.exit_code == FINE and codes(noisy)["f1 at 95"] == "inconclusive"
    assert "more --repeats on both sides" in " ".join(verdict_table(noisy, False).notes)
    two = compare(repeated(summary, {"0": 0.74, "1": 0.69}), repeated(summary, {"0": 0.70, "1": 0.73}))
    assert codes(two)["f1 at 95"] == "same"  # two seeds are no spread: the metric's own tolerance
    one = compare(repeated(summary, {"2": 0.76}), base)  # one of the seeds: its own score, its own count of images
    assert one.exit_code == FINE and codes(one) == {"f1 at 95": "same", "images trained": "same"}


def test_a_metric_that_is_gone_is_not_passed_over(good):
    now = summarise(read_results(good / "good"))
    row = now.rows[0]
    fewer = row.model_copy(update={"metrics": {n: m for n, m in row.metrics.items() if n != "f1 at 95"}})
    report = compare(now.model_copy(update={"rows": (fewer,)}), now)
    assert report.exit_code == NOT_COMPARABLE and "has no f1 at 95" in report.refused[0]


@pytest.mark.parametrize(
    ("falls", "tolerance", "verdict"),
    [
        # t of 2 degrees of freedom at 99 %: 6.965; standard error of (0, .001, .002): .001 / sqrt(3)
        ((0, 0.001, 0.002), 6.965 * 0.001 / 3**0.5, "same"),
        ((0.005, 0.006, 0.007), 6.965 * 0.001 / 3**0.5, "worse"),
        ((-0.005, -0.006, -0.007), 6.965 * 0.001 / 3**0.5, "better"),
        ((0.0, 0.0, 0.0), 0.002, "same"),  # the floor
        ((0.003, 0.003, 0.003), 0.002, "worse"),
        ((0.0, 0.1, 0.2), 6.965 * 0.1 / 3**0.5, "inconclusive"),
        ((-0.02, 0.0, 0.02), 6.965 * 0.02 / 3**0.5, "inconclusive"),
    ],
)
def test_seeds_decide_by_their_interval(good, falls, tolerance, verdict):
    summary = summarise(read_results(good / "good"))
    base = repeated(summary, {str(s): 0.7 for s in range(3)})
    report = compare(repeated(summary, {str(s): 0.7 - fall for s, fall in enumerate(falls)}), base)
    line = next(line for line in report.lines if line.metric == "f1 at 95")
    assert (line.verdict, line.tolerance) == (verdict, pytest.approx(tolerance, rel=1e-3))
    assert report.exit_code == (WORSE if verdict == "worse" else FINE)


def test_a_slower_run_on_a_busy_machine_says_so():
    line = Line(row="r", metric="epoch s", before=1.0, now=5.0, tolerance=0.5, verdict="slower")
    slower = Report(lines=(line,), failed=(), refused=(), absent=(), new=(), context=(), exit_code=FINE)
    assert any("was busy" in note for note in verdict_table(slower, False, "The machine was busy.").notes)
    assert not any("was busy" in note for note in verdict_table(slower, False).notes)
    assert verdict_table(slower, False).notes[0].startswith("No score got worse; times or memory did: 0 of 1")


def test_a_value_that_one_side_alone_recorded_is_no_difference_unless_it_is_the_machines():
    old = {"processor": "a", "torch": "1", "ruff": "1"}
    new = {"processor": "b", "torch": "2", "frameworks/x": "hash", "GPU": "c"}
    before, now = (Baseline(run="r", command="c", context=context, rows=()) for context in (old, new))
    assert compare(now, before).context == ("GPU: none, now c", "processor: a, now b", "torch: 1, now 2")
