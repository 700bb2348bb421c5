"""The store of runs: plain files in a folder that is named by what was asked for.

A run's folder holds ``description.json`` (the request, complete), ``metrics.csv`` (by step), ``scores.json`` (per-class
IoU), ``weights.safetensors``, ``best.safetensors`` where a best one was tracked, one such file for each further network
that the method keeps, ``result.json`` (written last: its presence means finished), and while it trains
``checkpoints/``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from safetensors.torch import save as safetensors_bytes
from torch import Tensor, nn

from labkit.errors import LabError, UnknownNameError
from labkit.evaluation.scores import Scores
from labkit.files import read_json, write_atomically, write_json
from labkit.models.registry import create_model
from labkit.training.checkpoints import steps as checkpoint_steps

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)


class Run:
    """One run on disk. Everything is read when asked for."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def __repr__(self) -> str:
        return f"Run({self.folder.name}, {'finished' if self.finished else 'not finished'})"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def finished(self) -> bool:
        """Whether the training reached its last step and everything is written."""
        return (self.folder / "result.json").is_file()

    @property
    def description(self) -> dict[str, Any]:
        """The request: data, model, method, recipe, seed, digest of the sources."""
        return read_json(self.folder / "description.json")

    @property
    def result(self) -> dict[str, Any]:
        """Steps, seconds, target mIoU (last, and best with its selection rule), environment."""
        return read_json(self._written("result.json"))

    @property
    def scores(self) -> Scores:
        """Of the last weights on the report split. Raises LabError for a run that had no labelled one."""
        scores = self._scores()
        if "last" not in scores:
            raise LabError(
                f"{self.name}: its target had no labels to be scored with; `labkit predict` shows what it sees"
            )
        return Scores.from_json(scores["last"])

    @property
    def best_scores(self) -> Scores | None:
        """Of the weights with the best validation mIoU on the target, or None if none were tracked."""
        best = self._scores().get("best")
        return Scores.from_json(best) if best else None

    @property
    def metrics(self) -> pandas.DataFrame:
        """One row per reading: ``step``, ``learning_rate``, ``loss/…``; ``val/miou``, ``val/loss`` where evaluated."""
        import pandas

        return pandas.read_csv(self.folder / "metrics.csv")

    def data_sets(self) -> list[dict[str, Any]]:
        """The fingerprints of every data set that the run trained or was scored on."""
        description = self.description
        named = [*description["data"].values(), description["validation"], description["report"]]
        return [fingerprint for fingerprint in named if fingerprint]

    def generated_like(self, dataset: str, split: str) -> dict[str, Any]:
        """The fingerprint of this split of MiniCity among the run's data sets (its count and seed), or empty."""
        style = dataset.removeprefix("minicity-")
        matches = (f for f in self.data_sets() if f.get("style") == style and f["split"] == split)
        return next(matches, {})

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures that the network was trained on."""
        return tuple(self.data_sets()[0]["size"])

    def summary(self) -> dict[str, Any]:
        """The run in a line: name, state, data, steps done, target mIoU (null if not finished or not known)."""
        result = self.result if self.finished else {}
        saved = checkpoint_steps(self.checkpoints)
        return {
            "name": self.name,
            "state": "finished" if self.finished else f"at step {saved[-1]}" if saved else "not begun",
            "data": " + ".join(f["name"] for f in self.description["data"].values()),
            "steps": result.get("steps", saved[-1] if saved else 0),
            "miou_target": result.get("miou_target"),
        }

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints of a training under way."""
        return self.folder / "checkpoints"

    def load_model(self, which: str = "last") -> nn.Module:
        """The trained segmenter in evaluation mode, on the CPU. ``which`` is ``"last"`` or ``"best"``."""
        from labkit.models.weights import load_weights

        files = {"last": "weights.safetensors", "best": "best.safetensors"}
        if which not in files:
            raise UnknownNameError("choice of weights", which, files)
        from safetensors.torch import load_file

        model = create_model(self.description["model"]["name"], num_classes=self.description["model"]["num_classes"])
        path = self._written(files[which])
        load_weights(model, load_file(path), source=str(path))
        return model.eval()

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Held by whoever trains this run; waits for another holder. Falls when the process ends, however it ends."""
        lock = FileLock(self.folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("%s is being trained by another process; waiting for it", self.name)
            lock.acquire()
        except OSError as error:
            raise LabError(
                f"{self.folder}: cannot be written ({error.strerror}); choose another folder of runs"
            ) from None
        for leftover in self.folder.rglob(".*.tmp"):  # of a process that was killed while it wrote
            if not leftover.name.startswith(".description"):  # which is written without the lock
                leftover.unlink(missing_ok=True)
        try:
            yield
        finally:
            lock.release()

    # --- writing -----------------------------------------------------------------------------------------------

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write ``metrics.csv``; columns in the order of their first appearance, numbers in full precision."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        lines = [",".join(columns)]
        lines += [",".join(repr(row[name]) if name in row else "" for name in columns) for row in rows]
        write_atomically(self.folder / "metrics.csv", "\n".join(lines) + "\n")

    def keep_best(self, steps: Collection[int | None]) -> None:
        """Delete the best weights of other steps than ``steps``: no checkpoint that is kept needs them."""
        wanted = {self.best_file(step) for step in steps if step is not None}
        for path in self.folder.glob("best-*.safetensors"):
            if path not in wanted:
                path.unlink()

    def settle_best(self, step: int) -> None:
        """Give the best weights of all their final name."""
        if self.best_file(step).is_file():  # else a process that was killed just here has done it
            self.best_file(step).replace(self.folder / "best.safetensors")
        self.keep_best(())

    def best_file(self, step: int) -> Path:
        """The weights that were the best so far after ``step`` steps, while the training goes on."""
        return self.folder / f"best-{step:08d}.safetensors"

    def network_file(self, name: str) -> Path:
        """The weights of one of the method's own networks, which it asked to be kept."""
        return self.folder / f"{name}.safetensors"

    def write_weights(self, state: Mapping[str, Tensor], file: str = "weights.safetensors") -> None:
        """Write a network's state as safetensors, on the CPU and contiguous."""
        content = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in state.items()}
        write_atomically(self.folder / file, safetensors_bytes(content))

    def _scores(self) -> dict:
        return read_json(self._written("scores.json"))

    def _written(self, file: str) -> Path:
        path = self.folder / file
        if not path.is_file():
            state = "it is finished, but has none" if self.finished else "it is not finished: run its training again"
            raise LabError(f"run {self.name} has no {file}; {state}")
        return path


class RunStore:
    """A folder of runs."""

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)

    def request(self, description: Mapping[str, Any]) -> Run:
        """The run of ``description``: the one that is there, or a new folder with the description in it."""
        identity = json.dumps(description, sort_keys=True, ensure_ascii=False)
        name = "-".join(
            (
                description["model"]["name"],
                description["method"]["name"],
                f"seed{description['seed']}",
                hashlib.sha256(identity.encode()).hexdigest()[:10],
            )
        )
        run = Run(self.folder / name)
        if not (run.folder / "description.json").is_file():
            write_json(run.folder / "description.json", description)
        return run

    def all(self) -> list[Run]:
        """All runs, by name."""
        return [Run(path.parent) for path in sorted(self.folder.glob("*/description.json"))]

    def find(self, name: str) -> Run:
        """A run by its folder, its name, or a beginning of its name that no other shares."""
        if (Path(name) / "description.json").is_file():
            return Run(Path(name))
        matches = [run for run in self.all() if run.name.startswith(name)]
        exact = [run for run in matches if run.name == name]
        if len(exact or matches) == 1:
            return (exact or matches)[0]
        if matches:
            raise LabError(f"{len(matches)} runs begin with {name!r}: {', '.join(run.name for run in matches)}")
        raise UnknownNameError(f"run (in {self.folder})", name, (run.name for run in self.all()))
