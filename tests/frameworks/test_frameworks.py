"""PyTorch and TensorFlow behind the contract: the same logits from one file, and what trains, trains."""

import json
import os
import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from common.analysis.records import read_results
from common.core.specs import Job, ModelSpec
from common.data.chunk_store import save
from common.data.decode import decode
from common.data.formats import comp5329, demo
from common.run import weight_files
from frameworks.contract import TORCHVISION
from tests.helpers.programs import environment
from tests.helpers.project import PROJECT, shared

SIDE, IMAGES = 64, 10  # two full batches of 4 and a short one


def decoded(paths, side):
    return np.frombuffer(b"".join(decode(path, side) for path in paths), np.uint8).reshape(-1, side, side, 3)


@pytest.fixture(scope="module")
def probe(not_quick, tmp_path_factory):
    """Drive an adapter in a process of its own; the answer is remembered for the module."""
    folder = tmp_path_factory.mktemp("probe")
    block = decoded(demo.read(demo.Path("demo")).paths[:IMAGES], SIDE)
    save(folder / "store", block)
    labels = np.zeros((IMAGES, 20), np.uint8)
    labels[np.arange(IMAGES), np.arange(IMAGES)] = 1
    np.save(folder / "labels.npy", labels)
    seen, children = {}, {}

    def ask(framework, *paths):
        if framework not in children:
            command = [sys.executable, PROJECT / "tests" / "helpers" / "adapter_probe.py", framework]
            pipe = subprocess.PIPE
            children[framework] = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment())
        print(json.dumps([*map(str, paths)]), file=children[framework].stdin, flush=True)
        return int(children[framework].stdout.readline())

    def call(
        framework,
        model,
        variant="",
        train="head",
        path="",
        store=None,
        side=SIDE,
        workers=0,
        preprocessing=None,
        **build,
    ):
        key = (
            framework,
            model,
            variant,
            train,
            str(path),
            str(store),
            side,
            workers,
            str(preprocessing),
            str(build),
        )
        if key not in seen:
            request, out = folder / f"{len(seen)}.request", folder / f"{len(seen)}"
            request.write_text(
                json.dumps(
                    {
                        "framework": framework, "model": {"name": model, "variant": variant}, "train": train,
                        "weights": str(path), "store": str(store or folder / "store"), "side": side, "workers": workers,
                        "labels": str(folder / "labels.npy"), "preprocessing": preprocessing,
                        "build": build,
                    }
                )
            )  # fmt: skip
            code = ask(framework, request, out)
            assert code == 0, out.with_suffix(".log").read_text()[-3000:]
            arrays = dict(np.load(out.with_suffix(".npz")))
            answer = json.loads(out.with_suffix(".json").read_text())
            seen[key] = SimpleNamespace(file=out.with_suffix(".safetensors"), **arrays, **answer)
        return seen[key]

    yield call
    for child in children.values():
        child.stdin.close()
        child.wait()


@pytest.fixture(scope="module")
def lite_file(not_quick):
    job = Job(framework="torch", model=ModelSpec(name="efficientnet_lite0"), train="head")
    return weight_files.resolve(job, ("auto",), print).path


@pytest.fixture(scope="module")
def resnet_file(not_quick, probe, tmp_path_factory):
    """A complete ResNet-50 v1 under canonical names, with running statistics that are not the identity."""
    tensors = load_file(probe("torch", "resnet50", "v1", train="all").file)
    rng = np.random.default_rng(0)
    for name, array in tensors.items():
        if "running_mean" in name or ("bn" in name and name.endswith("bias")):
            tensors[name] = rng.normal(0, 0.1, array.shape).astype(np.float32)
        if "running_var" in name:
            tensors[name] = rng.uniform(0.5, 1.5, array.shape).astype(np.float32)
    path = tmp_path_factory.mktemp("resnet") / "v1.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def small_store(tmp_path_factory):
    """32 pixels, the smallest side that the libraries' networks take."""
    block = decoded(demo.read(demo.Path("demo")).paths[:IMAGES], 32)
    return save(tmp_path_factory.mktemp("small") / "store", block)


def apart(a, b):
    """The largest difference, relative to the spread of a logit over the images: a network that sees nothing, and
    whose logits are its head's bias for every image, is no evidence."""
    seen = a.std(axis=0).max()
    assert seen > 1e-3, "the logits do not depend on the image"
    return np.abs(a - b).max() / seen


def test_efficientnet_lite0_has_the_same_logits_on_both(probe, lite_file):
    a, b = (probe(f, "efficientnet_lite0", path=lite_file) for f in ("torch", "tf"))
    assert a.said == b.said == {"loaded": 245, "missing": 0, "unexpected": 0}
    assert apart(a.first, b.first) < 1e-4


def test_resnet50_v1_has_the_same_logits_on_both(probe, resnet_file):
    a, b = (
        probe(f, "resnet50", "v1", path=resnet_file, preprocessing=TORCHVISION.model_dump()) for f in ("torch", "tf")
    )
    assert apart(a.first, b.first) < 1e-4


@pytest.mark.slow
def test_the_variant_matters(probe, resnet_file):
    """v1 weights load into v1.5 without an error and give other logits: why the variant is a field."""
    v1, v15 = (probe("torch", "resnet50", v, path=resnet_file) for v in ("v1", "v1.5"))
    assert v15.said == {"loaded": 265, "missing": 0, "unexpected": 0}
    assert apart(v1.first, v15.first) > 0.01


@pytest.mark.parametrize(("model", "variant"), [("efficientnet_lite0", ""), ("resnet50", "v1")])
def test_real_photographs_have_the_same_logits_on_both(probe, lite_file, tmp_path_factory, model, variant):
    data = comp5329.read(shared("data/comp5329"))
    block = decoded(data.paths[:IMAGES], 112)
    store = save(tmp_path_factory.mktemp("real") / "store", block)
    path = lite_file if not variant else shared("weights/resnet50_v1_pruned.safetensors")
    preprocessing = TORCHVISION.model_dump() if variant else None
    a, b = (
        probe(f, model, variant, path=path, store=store, side=112, preprocessing=preprocessing) for f in ("torch", "tf")
    )
    assert apart(a.first, b.first) < 1e-4


def test_both_train_alike(probe, lite_file):
    """Same order, pixels, head and loss: the mean losses of two epochs agree (Adam's epsilons differ)."""
    a, b = (probe(f, "efficientnet_lite0", path=lite_file) for f in ("torch", "tf"))
    assert a.images == b.images == [IMAGES, IMAGES]
    assert a.losses == pytest.approx(b.losses, rel=1e-3)
    assert a.losses[1] < a.losses[0]
    assert np.abs(a.last - b.last).max() < 0.01 * np.abs(a.last).max()  # .007 seen


@pytest.mark.parametrize("framework", ["torch", "tf"])
def test_a_frozen_body_stays_to_the_bit(probe, lite_file, framework):
    p = probe(framework, "efficientnet_lite0", path=lite_file)
    assert p.trainable == p.changed == ["classifier.bias", "classifier.weight"]
    assert p.facts["trainable_parameters"] == 1280 * 20 + 20
    assert p.facts["batch norm"].startswith("0 of 49 in training mode")


@pytest.mark.parametrize("framework", ["torch", "tf"])
def test_the_last_block_trains_with_its_batch_norm(probe, resnet_file, framework):
    p = probe(framework, "resnet50", "v1", train="last-block", path=resnet_file)
    assert {name.split(".")[0] for name in p.changed} == {"layer4", "fc"}
    assert "layer4.0.bn1.running_mean" in p.changed
    assert p.facts["batch norm"].startswith("10 of 53 in training mode")


def test_dropout_acts_before_a_training_layer4_alone(probe, resnet_file):
    assert (
        probe("torch", "resnet50", "v1", train="last-block", path=resnet_file).facts["dropout"] == "0.5 before layer4"
    )
    assert (
        probe("torch", "resnet50", "v1", path=resnet_file, preprocessing=TORCHVISION.model_dump()).facts["dropout"]
        == "none"
    )


AUTHORS = {"frozen_norm": "drift", "schedule": "plateau"}


def test_the_authors_recipe_on_torch(probe, resnet_file):
    """The paper's parameters, and what its code did without meaning to: frozen batch norm in training mode."""
    p = probe("torch", "resnet50", "v1", train="last-block", path=resnet_file, **AUTHORS)
    facts = p.facts
    assert (facts["trainable_parameters"], facts["parameters"]) == (15_005_716, 23_549_012)
    assert facts["batch norm"].startswith("53 of 53 in training mode")
    assert "layer1.0.bn1.running_mean" in p.changed and "layer1.0.bn1.weight" not in p.changed
    assert facts["schedule"] == "ReduceLROnPlateau, patience 2" and facts["dropout"] == "0.5 before layer4"
    assert "not as the recipe says" not in facts


@pytest.mark.slow
def test_the_authors_recipe_on_tf_says_what_it_is_not(probe, resnet_file):
    p = probe("tf", "resnet50", "v1", train="last-block", path=resnet_file, **AUTHORS)
    assert {name.split(".")[0] for name in p.changed} == {"layer4", "fc"}  # no drift, and the row says so
    assert "keeps frozen batch norm in inference mode" in p.facts["not as the recipe says"]
    assert p.facts["schedule"].startswith("ReduceLROnPlateau, patience 3 (torch's 2)")


@pytest.mark.parametrize("framework", ["torch", "tf"])
def test_the_plateau_lowers_the_rate_after_the_same_epoch(probe, resnet_file, framework):
    """One epoch that improves, then three that do not: a tenth after the third, on both."""
    p = probe(framework, "resnet50", "v1", train="last-block", path=resnet_file, **AUTHORS)
    rates = [float(text.split("learning rate ")[1].split(",")[0]) for text in p.lowered]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4, 1e-4])
    assert p.again_lowered == p.lowered[2:]  # taken up again after the second


def logits_of(run, framework):
    with np.load(
        run / "trials" / f"0{1 + (framework == 'tf')}-{framework}-efficientnet_lite0-head-seed0" / "logits.npz"
    ) as a:
        return {name: a[name] for name in a.files}


@pytest.fixture(scope="module")
def small_runs(bench, tmp_path_factory):
    """Both frameworks on 60 scenes: from the store, decoding while they train, and with crops everywhere."""
    folder = tmp_path_factory.mktemp("small_runs")
    more = {
        "store": (),
        "decode": ("--pixels", "decode"),
        "crops": ("--augment", "everywhere", "--workers", "2", "--learning-rate", "1e-12"),
    }
    for name, words in more.items():
        words = ("--models", "efficientnet_lite0", "--limit", "60", "--batch-size", "8", *words)
        done = bench("--frameworks", "torch", "tf", *words, "--results-dir", folder, "--name", name)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("framework", ["torch", "tf"])
def test_decoding_while_it_trains_gives_the_same_logits(small_runs, framework):
    a, b = (logits_of(small_runs / name, framework) for name in ("store", "decode"))
    assert all(np.abs(a[key] - b[key]).max() < 1e-4 * np.abs(a[key]).max() for key in a)


def test_both_frameworks_see_the_same_crops(small_runs):
    """Nothing is learnt in this run, so that a loss and a logit say which pixels were seen: each framework saw the
    plan's crops, other ones in each epoch, in training and in validation."""
    a, b = (logits_of(small_runs / "crops", framework) for framework in ("torch", "tf"))
    whole = logits_of(small_runs / "store", "torch")
    assert all(np.abs(a[key] - b[key]).max() < 1e-4 * np.abs(a[key]).max() for key in a)
    assert np.abs(a["epoch1"] - a["epoch2"]).max() > 0.1 * np.abs(a["epoch1"]).max()
    assert np.abs(a["epoch1"] - whole["epoch1"]).max() > 0.1 * np.abs(a["epoch1"]).max()
    losses = [[e.train_loss for e in r.record.epochs] for r in read_results(small_runs / "crops").rows[:2]]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert abs(losses[0][0] - losses[0][1]) > 1e-3 * losses[0][0]


def test_weights_on_positives_are_the_same_on_both(probe, lite_file):
    weights = np.linspace(1, 20, 20).tolist()
    a, b = (probe(f, "efficientnet_lite0", path=lite_file, positive_weights=weights) for f in ("torch", "tf"))
    plain = probe("torch", "efficientnet_lite0", path=lite_file)
    assert a.losses == pytest.approx(b.losses, rel=1e-3)
    assert a.losses[0] > 1.5 * plain.losses[0]


def test_weights_from_each_librarys_own_file_are_the_same_network(lite_file, resnet_file, tmp_path):
    """A .pth state dict (under DataParallel's prefix, in a checkpoint) and a Keras .weights.h5, made canonical."""
    write = """
import sys; from safetensors.numpy import load_file
tensors = load_file(sys.argv[1])
if sys.argv[2].endswith(".pth"):
    import torch
    state = {"module." + k: torch.from_numpy(v) for k, v in tensors.items()}
    torch.save({"epoch": 3, "state_dict": state}, sys.argv[2])
else:
    from frameworks.keras_common import models, weights
    from common.core.specs import ModelSpec
    body = models.make_body(ModelSpec(name="resnet50", variant="v1"), 64)
    weights.load(body, "resnet50", {k: v for k, v in tensors.items() if not k.startswith("fc.")})
    body.save_weights(sys.argv[2])
"""
    model, tensors = ModelSpec(name="resnet50", variant="v1"), load_file(resnet_file)
    for framework, file in (("torch", tmp_path / "mine.pth"), ("tf", tmp_path / "mine.weights.h5")):
        done = subprocess.run(
            [sys.executable, "-c", write, resnet_file, file], cwd=PROJECT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2000:]
        spec = weight_files.resolve(Job(framework=framework, model=model, train="head"), (str(file),), print)
        read = load_file(spec.path)
        assert spec.assumed and f"{file.name} does not name its" in spec.note
        for name in read:
            assert np.allclose(read[name], tensors[name], rtol=0, atol=1e-6), name
        assert len(read) >= 265


def test_a_keras_files_variant_is_known(bench, tmp_path):
    """keras.applications has ResNet-50 as v1 alone: its file is refused where v1.5 would train."""
    code = (
        "import sys; from frameworks.keras_common import models; from common.core.specs import ModelSpec\n"
        "models.make_body(ModelSpec(name='resnet50', variant='v1'), 64).save_weights(sys.argv[1])"
    )
    file = tmp_path / "k.weights.h5"
    subprocess.run([sys.executable, "-c", code, file], cwd=PROJECT, capture_output=True, check=True)
    done = bench("--frameworks", "torch", "--models", "resnet50", "--weights", file, "--limit", "20",
                 "--results-dir", tmp_path / "r")  # fmt: skip
    assert done.returncode == 2 and "holds the variant v1, the trial has v1.5" in done.stderr


def test_a_pickle_with_code_in_it_is_not_run(bench, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    with open(tmp_path / "w.pth", "wb") as stream:
        pickle.dump({"fc.weight": Evil()}, stream)
    done = bench("--frameworks", "torch", "--models", "resnet50", "--weights", tmp_path / "w.pth", "--limit", "20",
                 "--results-dir", tmp_path / "r")  # fmt: skip
    assert done.returncode == 2 and "is not a file of tensors alone" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("framework", ["torch", "tf"])
@pytest.mark.parametrize("model", ["efficientnet_lite0", "resnet50"])
def test_dump_after_load_gives_the_same_bytes(probe, lite_file, resnet_file, framework, model):
    if model == "resnet50":
        p = probe(framework, model, "v1", train="last-block", path=resnet_file)
    else:
        p = probe(framework, model, path=lite_file)
    assert p.same_after_load
    assert np.array_equal(p.first, p.restored)


def test_gmac_is_the_same_on_both(probe, lite_file, resnet_file):
    pairs = [
        [probe(f, "efficientnet_lite0", path=lite_file) for f in ("torch", "tf")],
        [probe(f, "resnet50", "v1", train="last-block", path=resnet_file) for f in ("torch", "tf")],
    ]
    for a, b in pairs:
        assert a.facts["gmac"] == pytest.approx(b.facts["gmac"], rel=1e-6)


def test_keras_trains_through_fit_and_builds_nothing_anew(probe, lite_file):
    p = probe("tf", "efficientnet_lite0", path=lite_file)
    assert p.fits == ["PyDataset", "PyDataset"]
    assert p.one_train_function
    assert p.queued == [True, True]  # Keras's own queue, not tf.data's autotuner, which holds up an epoch's end


def test_the_head_is_the_same_everywhere(probe, lite_file, resnet_file):
    a, b = (load_file(probe(f, "efficientnet_lite0", path=lite_file).file) for f in ("torch", "tf"))
    for name in ("classifier.weight", "classifier.bias"):
        assert np.array_equal(a[name], b[name])
    prior = np.array([1.5] * 10 + [0.5] * 10) / (IMAGES + 1)  # (n + 1/2) / (N + 1)
    assert a["classifier.bias"] == pytest.approx(np.log(prior / (1 - prior)), abs=1e-6)


@pytest.mark.usefixtures("not_quick")
@pytest.mark.parametrize(
    ("framework", "model"),
    [
        ("torch", "mobilenetv3_small_050"),
        ("tf", "vgg19"),
        ("torch", "resnext50_32x4d"),
        pytest.param("tf", "mobilenetv2", marks=pytest.mark.slow),
    ],
)
def test_any_model_of_the_libraries_trains(probe, small_store, framework, model):
    p = probe(framework, model, train="all", store=small_store, side=32)
    assert len(p.changed) >= len(p.trainable)
    assert np.isfinite(p.last).all()


@pytest.mark.slow
def test_a_downloadable_models_preprocessing_is_read_off_the_library():
    code = (
        "from frameworks.keras_common.models import library_preprocessing as p; from common.core.specs import ModelSpec as M\n"
        "print([p(M(name=n)).model_dump_json() for n in ('vgg19', 'mobilenetv2', 'densenet121', 'efficientnetb0')])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert '"channels":"bgr","mean":[103.939,116.779,123.68],"std":[1.0,1.0,1.0]' in out
    assert '"channels":"rgb","mean":[127.5,127.5,127.5],"std":[127.5,127.5,127.5]' in out
    assert '"channels":"rgb","mean":[123.675,116.28,103.53],"std":[58.395,57.12,57.375]' in out
    assert '"channels":"rgb","mean":[0.0,0.0,0.0],"std":[1.0,1.0,1.0]' in out.replace("-0.0", "0.0")
