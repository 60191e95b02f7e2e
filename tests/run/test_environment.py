"""The places a run meets: locales, notebooks, safe paths, read-only disks, containers. Each ends with tables or one message."""

import ast
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from common.analysis.records import read_results
from common.core import encoding
from common.core.files import read_json
from common.run.trial_state import TrialState
from common.trial.failures import reason
from tests.helpers.project import PROJECT
from tests.helpers.records import row

WORDS = ("--frameworks", "fake", "--limit", "60", "--image-size", "32", "--epochs", "1")
# Windows' editors and shells write the first two; each is read.
MARKS = {"utf-8 with a mark": "utf-8-sig", "utf-16 with a mark": "utf-16", "utf-8": "utf-8"}


@pytest.fixture(scope="session")
def latin1(not_quick, tmp_path_factory):
    """Variables of a German Latin-1 locale."""
    folder = tmp_path_factory.mktemp("locales")
    name = "de_DE.ISO-8859-1"
    try:
        made = subprocess.run(
            ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", folder / name], capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("needs localedef")
    if not (folder / name).is_dir():
        pytest.skip(f"localedef makes no Latin-1 locale here: {made.stderr}")
    return {"LOCPATH": str(folder), "LC_ALL": name}


@pytest.fixture
def photos(tmp_path):
    """Names and labels with spaces, accents and signs that Latin-1 lacks."""
    folder = tmp_path / "photos"
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    lines = ["image,labels"]
    for i in range(20):
        name = f"{('ä b', '日本', 'n😀', 'plain')[i % 4]}{i}.png"
        Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8)).save(folder / "images" / name)
        lines.append(f"{name},{('größe', '犬', 'chat–noir')[i % 3]}")
    (folder / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def under(bench, variables, *arguments):
    return bench(*arguments, env=os.environ | variables)


def check_ended_well(done):
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["latin-1", "ascii"])
def test_a_terminal_that_lacks_signs_gets_all_tables(bench_process, tmp_path, name):
    done = under(bench_process, {"PYTHONIOENCODING": name}, *WORDS, "--results-dir", tmp_path, "--name", "run")
    check_ended_well(done)
    assert "|prior" in done.stdout and "page: " in done.stdout


@pytest.mark.slow  # half a minute
def test_every_verb_shows_its_tables_on_an_ascii_terminal(bench_process, tmp_path):
    run = tmp_path / "run"
    for words in (
        (*WORDS, "--results-dir", tmp_path, "--name", "run"),
        ("list",),
        ("report", run),
        ("compare", run),
        ("data", "--limit", "30", "--results-dir", tmp_path),
        ("history", tmp_path),
        ("check", run, "--baseline", tmp_path / "b.json", "--update-baseline"),
        ("check", run, "--baseline", tmp_path / "b.json"),
        ("prune", "--results-dir", tmp_path),
        ("list", "--json"),
        ("--help",),
    ):
        check_ended_well(under(bench_process, {"PYTHONIOENCODING": "ascii"}, *words))


def test_json_loses_no_sign_to_a_terminal(bench, bench_process, photos, tmp_path):
    words = ("data", "--data", photos, "--results-dir", tmp_path, "--json")
    under(bench, {}, *words)  # from now on the images are known to be whole, and no line tells of their decoding
    plain, ascii_ = under(bench, {}, *words), under(bench_process, {"PYTHONIOENCODING": "ascii"}, *words)
    check_ended_well(ascii_)
    assert ascii_.stdout.isascii() and "犬" in plain.stdout
    assert json.loads(ascii_.stdout) == json.loads(plain.stdout)


def test_a_latin1_locale_finds_names_in_utf8(bench, photos, tmp_path, latin1):
    done = subprocess.run(
        [sys.executable, PROJECT / "run_bench.py", "--frameworks", "fake", "--data", photos, "--image-size", "16",
         "--epochs", "1", "--results-dir", tmp_path, "--name", "grö–ße"],
        capture_output=True, env=os.environ | latin1, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "größe" in (tmp_path / "grö–ße" / "results.md").read_text(encoding="utf-8")
    assert done.stdout.decode("latin-1")  # the terminal's own encoding


def test_an_argument_from_a_latin1_terminal_becomes_utf8(latin1):
    """Its bytes stay as they are where they are UTF-8 already: the same locale, another terminal."""
    code = "import sys; from common.core.encoding import utf8_bytes; print([utf8_bytes(w).hex() for w in sys.argv[1:]])"
    words = ["größe".encode("latin-1"), "größe".encode(), b"plain"]
    variables = os.environ | latin1 | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=variables)
    assert ast.literal_eval(done.stdout) == ["größe".encode().hex(), "größe".encode().hex(), b"plain".hex()]


def test_signs_become_plain_ones():
    assert "a–b ± c 犬".encode("latin-1", encoding.ERRORS) == b"a-b \xb1 c ?"
    assert "a–b ± c 犬".encode("ascii", encoding.ERRORS) == b"a-b +- c ?"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", encoding.ERRORS)


@pytest.mark.parametrize("mark", MARKS.values(), ids=MARKS)
def test_json_of_windows_is_read(tmp_path, mark):
    (tmp_path / "x.json").write_text('{"größe": 1}', encoding=mark)
    assert read_json(tmp_path / "x.json") == {"größe": 1}


def test_the_backend_of_a_notebook_changes_nothing(bench_process, tmp_path):
    """MPLBACKEND as Jupyter and Colab set it for `!python ...`, and a matplotlibrc that asks for LaTeX."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n", encoding="utf-8")
    variables = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    done = bench_process(*WORDS, "--results-dir", tmp_path, "--name", "run", env=os.environ | variables, cwd=tmp_path)
    check_ended_well(done)
    assert (tmp_path / "run" / "figures" / "by_epoch.png").exists()
    check_ended_well(bench_process("history", tmp_path, env=os.environ | variables, cwd=tmp_path))


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize("how", ["variable", "flag"])
def test_python_may_leave_out_the_scripts_folder(tmp_path, how):
    """PYTHONSAFEPATH and `python -P`, children included: the trial, its question to a framework, the decoding."""
    command = [sys.executable, *(["-P"] if how == "flag" else []), PROJECT / "run_bench.py"]
    variables = os.environ | ({"PYTHONSAFEPATH": "1"} if how == "variable" else {})
    variables.pop("PYTHONPATH", None)
    for words in ((*WORDS, "--results-dir", tmp_path, "--name", "run"), ("list", "--all", "fake")):
        done = subprocess.run([*command, *words], capture_output=True, text=True, env=variables, cwd=tmp_path)
        check_ended_well(done)


def opens_without_encoding(tree) -> list[int]:
    """Lines that open or read text in whatever encoding the locale has."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(k.arg == "encoding" for k in node.keywords):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        modes = [a.value for a in node.args[1:2] if isinstance(a, ast.Constant)]
        modes += [k.value.value for k in node.keywords if k.arg == "mode" and isinstance(k.value, ast.Constant)]
        conditional = any(isinstance(a, ast.IfExp) for a in node.args[1:2])  # "ab" if ... else "wb"
        if (name == "read_text" and not node.args) or (name == "write_text" and len(node.args) == 1):
            found.append(node.lineno)
        if isinstance(node.func, ast.Name) and name == "open" and not conditional and not any("b" in m for m in modes):
            found.append(node.lineno)
    return found


def test_every_text_is_opened_with_its_encoding():
    folders = ("common", "frameworks", "benchmarks")
    files = [PROJECT / "run_bench.py", *(f for folder in folders for f in (PROJECT / folder).rglob("*.py"))]
    assert len(files) > 100
    found = {
        str(f.relative_to(PROJECT)): opens_without_encoding(ast.parse(f.read_text(encoding="utf-8"))) for f in files
    }
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_encoding_test_fires():
    bad = 'open("a")\nopen("a", "w")\nPath("a").read_text()\nPath("a").write_text("b")\nopen("a", mode="r")'
    assert opens_without_encoding(ast.parse(bad)) == [1, 2, 3, 4, 5]
    good = 'open("a", "rb")\nopen("a", encoding="utf-8")\nPath("a").read_text("utf-8")\nwrite_text(path, "b")'
    assert opens_without_encoding(ast.parse(good)) == []


@pytest.fixture
def read_only(tmp_path):
    """A folder that nobody can write, root neither."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    for words in (["--bind", folder, folder], ["-o", "remount,ro,bind", folder]):
        if subprocess.run(["mount", *words], capture_output=True).returncode:
            pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def refused(done, *words):
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    for each in words:
        assert each in done.stderr


CACHE_WORDS = ("cannot be written (Read-only file system", "set FRAMEWORK_BENCH_CACHE to a folder that can be written")


def test_a_cache_on_a_read_only_disk_is_told_with_its_variable(bench, read_only, tmp_path):
    variables = {"FRAMEWORK_BENCH_CACHE": str(read_only / ".cache")}
    for words in ((*WORDS, "--results-dir", tmp_path), ("data", "--results-dir", tmp_path), ("prune",)):
        refused(under(bench, variables, *words), f"the cache folder '{read_only / '.cache'}'", *CACHE_WORDS)
    (tmp_path / "file").write_text("")
    done = under(bench, {"FRAMEWORK_BENCH_CACHE": str(tmp_path / "file")}, *WORDS, "--results-dir", tmp_path)
    refused(done, "File exists", CACHE_WORDS[1])


def test_results_on_a_read_only_disk_are_told_before_decoding(bench, read_only, tmp_path):
    variables = {"FRAMEWORK_BENCH_CACHE": str(tmp_path / "cache")}
    for words in (WORDS, ("data",)):
        done = under(bench, variables, *words, "--results-dir", read_only / "results")
        refused(
            done, f"--results-dir {read_only / 'results'}: '{read_only}' cannot be written; name a folder that can be"
        )
    assert not (tmp_path / "cache" / "pixels").exists()


@pytest.mark.usefixtures("not_quick")
def test_a_project_on_a_read_only_disk_names_the_variable(tmp_path):
    """As `docker run --read-only`, and images whose code belongs to another user: no FRAMEWORK_BENCH_CACHE."""
    script = (
        f"mount --bind {PROJECT} {PROJECT} && mount -o remount,ro,bind {PROJECT} && cd {PROJECT} || exit 77; "
        f"{sys.executable} run_bench.py {' '.join(WORDS)} --results-dir {tmp_path}"
    )
    variables = {k: v for k, v in os.environ.items() if k != "FRAMEWORK_BENCH_CACHE"}
    done = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True, env=variables)
    if done.returncode in (1, 77):
        pytest.skip(f"needs a mount namespace: {done.stderr}")
    refused(done, CACHE_WORDS[1])


SHARED_ERRORS = (
    "Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File ...\n"
    "    return cls._new_using_fd_cpu(size)\nRuntimeError: unable to allocate shared memory(shm) for file </torch_1_2_0>: "
    "No space left on device (28)",
    "unable to write to file </torch_1_2_0>: No space left on device (28)",
    "unable to open shared memory object </torch_1_2_0> in read-write mode: Too many open files (24)",
    "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out of "
    "shared memory. Please try to raise your shared memory limit.",
)


@pytest.mark.parametrize("text", SHARED_ERRORS)
def test_too_little_shared_memory_is_named_with_the_way_out(text):
    said = reason(RuntimeError(text))
    assert said.startswith("shared memory is too small: ") and "/dev/shm" in said and "--workers 0" in said
    assert "\n" not in said and text.splitlines()[-1][:200] in said


def test_other_failures_keep_their_words():
    triton = "out of resource: shared memory, Required: 262144, Hardware limit: 232448."
    assert reason(RuntimeError(triton)) == f"RuntimeError: {triton}"
    assert reason(RuntimeError("shared memory of the GPU")) == "RuntimeError: shared memory of the GPU"
    assert reason(ValueError("a\nb")) == "ValueError: a\nb"
    assert reason(MemoryError()).startswith("out of memory; a smaller --batch-size")
    worker = SHARED_ERRORS[0].rpartition("RuntimeError: ")[0] + "KeyError: 'x'"
    assert reason(RuntimeError(worker)) == "in a loader worker: KeyError: 'x'"
    state = TrialState(row("a", 0.1).record.spec, 0.0, 0.0)
    assert "--workers 0 needs none" in state.ending(-7, 0.0).reason


@pytest.mark.slow
def test_a_container_with_little_shared_memory_names_workers_0(tmp_path):
    """/dev/shm of 64 KiB; Docker's has 64 MiB, too little for several workers at 224 pixels."""
    words = "--frameworks torch --models efficientnet_lite0 --limit 60 --image-size 64 --epochs 1 --workers 2"
    script = (
        "mount -t tmpfs -o size=64k tmpfs /dev/shm || exit 77; "
        f"{sys.executable} {PROJECT}/run_bench.py {words} --results-dir {tmp_path} --name run"
    )
    done = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"needs a mount namespace: {done.stderr}")
    (row,) = read_results(tmp_path / "run").rows
    assert done.returncode == 1 and row.record.status == "failed"
    assert "shared memory is too small" in row.record.reason and "--workers 0" in row.record.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        '{"image_data_format": "channels_first", "backend": "theano", "floatx": "float32", "epsilon": 1e-07}',
        '{"image_data_format": "channels_last", "backend": "tensorflow", "floatx": "float16", "epsilon": 0.1}',
        '{"floatx": "bfloat16"}',
    ],
)
def test_a_keras_json_changes_no_training(bench, tmp_path, content):
    """Of old Theano days; or it is named, where Keras itself cannot read it."""
    (tmp_path / "home" / ".keras").mkdir(parents=True)
    (tmp_path / "home" / ".keras" / "keras.json").write_text(content)
    words = (
        "--frameworks",
        "tf",
        "--models",
        "efficientnet_lite0",
        "--limit",
        "40",
        "--image-size",
        "32",
        "--epochs",
        "1",
    )
    losses = []
    for name, home in (("with", tmp_path / "home"), ("without", tmp_path / "empty")):
        home.mkdir(exist_ok=True)
        variables = os.environ | {"HOME": str(home), "KERAS_MAX_STEPS_PER_EPOCH": "1"}
        variables.pop("KERAS_HOME", None)
        bench(*words, "--results-dir", tmp_path, "--name", name, env=variables)
        (row,) = read_results(tmp_path / name).rows
        losses.append([(e.train_loss, e.validation_loss) for e in row.record.epochs])
        if "bfloat16" in content:
            assert f"Keras cannot read its settings in {home / '.keras' / 'keras.json'}" in row.record.reason
            return
    assert losses[0] == losses[1] and losses[0]
