"""Things made once for several experiments, and found again: mu, its logs, policies, their scores.

    shop = Workshop(folder);   shop.mu(recipe), shop.log(recipe), shop.policies(recipe), ...

Each lies in a folder of its own, named by the digest of its recipe: weights as safetensors, logs as
Parquet, and what must be true of every file in `made.json`, which is written last. A folder is made
under another name and renamed when it is whole: there is all of a thing or nothing of it, and where
a process was killed in between, the next goes on from its last checkpoint. A file that has changed
since is refused by name. Two processes never make one thing at a time: the second waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.kept import Json, Unusable
from experiments.lm import demonstrations, logs, models, policies, recipes, sampling, scoring, tasks
from experiments.lm import vocabulary as words
from experiments.lm.logs import Floats, Log
from experiments.lm.recipes import Logged, Mu, Policies, Recipe, Scores
from isr_theory import files

Model = Any
Tensor = Any
Say = Callable[[str], None]
HERE = Path(__file__).parent / "work"
# Where the command puts it; the processes that run cells inherit the variable.
VARIABLE = "ISR_LM_WORK"
MADE = "made.json"
# Added to a log's seed for prompts that are not in it.
HELD_OUT = 1_000_003


def quietly(said: str) -> None:
    """Say nothing."""


def at() -> Workshop:
    """Return the workshop that the command chose, or the usual one."""
    return Workshop(Path(os.environ.get(VARIABLE) or HERE))


@dataclass(frozen=True)
class Workshop:
    """A folder of things made; `say` is told how their making goes."""

    folder: Path
    say: Say = field(default=quietly, compare=False)

    def mu(self, recipe: Mu) -> Model:
        """Return mu, in float32 and on the recipe's device, making it if it is not there."""
        return self._model(self._made(recipe) / "model", recipe)

    def log(self, recipe: Logged) -> Log:
        """Return the log, making it and mu if they are not there."""
        return logs.read(self._made(recipe) / "log.parquet")

    def log_path(self, recipe: Logged) -> Path:
        """Return where the log's Parquet lies, for who wants to diagnose it."""
        return self._made(recipe) / "log.parquet"

    def policies(self, recipe: Policies) -> list[tuple[str, float, Model]]:
        """Return (name, KL(mu || pi), model) of each snapshot, nearest first."""
        folder = self._made(recipe)
        mu = recipes.mu_of(recipe)
        return [
            (name, distance, self._model(folder / f"{k}", mu))
            for k, (name, distance) in enumerate(self.distances(recipe))
        ]

    def distances(self, recipe: Policies) -> list[tuple[str, float]]:
        """Return (name, KL(mu || pi)) of each snapshot, without its weights."""
        table = json.loads((self._made(recipe) / "policies.json").read_text())
        return [(row["name"], row["kl"]) for row in table]

    def scores(self, recipe: Scores) -> dict[str, Floats]:
        """Return log pi (n, T) of the tokens of `recipe.log`, by the names of the policies."""
        from safetensors.numpy import load_file

        found = load_file(self._made(recipe) / "scores.safetensors")
        names = [name for name, _ in self.distances(recipe.policies)]
        return {name: found[name] for name in names}

    def make(self, recipe: Recipe) -> Path:
        """Make a thing and all that it starts from, if they are not there; return where it lies."""
        return self._made(recipe)

    def has(self, recipe: Recipe) -> bool:
        """Return whether a thing is there already."""
        return (self.folder / recipes.name_of(recipe) / MADE).is_file()

    def thing(self, name: str, content: Json, make: Callable[[Path], None]) -> Path:
        """Return the folder `name`, letting `make` fill it if it is not there.

        `content` is plain data that tells what the thing is, for who finds it later; the name must
        be of a digest of it. `make` may find in the folder what a killed run of it left behind.
        """
        place = self.folder / name
        if not (place / MADE).is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            with _waiting(self.folder / f".{name}.lock"):
                if not (place / MADE).is_file():
                    self._make(place, content, make)
        check(place)
        return place

    def _make(self, place: Path, content: Json, make: Callable[[Path], None]) -> None:
        """Make one thing under another name, and rename it when it is whole."""
        unfinished = place.with_name(f".{place.name}.unfinished")
        unfinished.mkdir(exist_ok=True)
        self.say(f"making {place.name}")
        try:
            make(unfinished)
            _seal(unfinished, content)
        except OSError as error:
            # What had been made stays: when there is room, the same command goes on from it.
            raise OSError(error.errno, error.strerror, error.filename or str(place)) from error
        unfinished.rename(place)

    def _made(self, recipe: Recipe) -> Path:
        name = recipes.name_of(recipe)
        if not self.has(recipe):
            for earlier in recipes.needs(recipe)[:-1]:
                self._made(earlier)
        return self.thing(name, recipes.plain(recipe), lambda into: self._fill(recipe, into))

    def _fill(self, recipe: Recipe, into: Path) -> None:
        match recipe:
            case Mu():
                self._make_mu(recipe, into)
            case Logged():
                self._make_log(recipe, into)
            case Policies():
                self._make_policies(recipe, into)
            case Scores():
                self._make_scores(recipe, into)

    def _make_mu(self, recipe: Mu, into: Path) -> None:
        vocabulary = words.characters()
        model = demonstrations.train(recipe, vocabulary, into / "steps", self.say)
        # Parameters that a compiled model wraps are the model's own.
        model.save_pretrained(into / "model")
        vocabulary.tokenizer.save_pretrained(into / "model")
        shutil.rmtree(into / "steps", ignore_errors=True)

    def _make_log(self, recipe: Logged, into: Path) -> None:
        mu = self.mu(recipe.mu)
        log = sampling.sample(
            mu,
            words.characters(),
            prompts_of(recipe),
            recipe.each,
            None,
            recipe.seed,
            batch=recipe.batch,
        )
        logs.write(into / "log.parquet", log)

    def _make_policies(self, recipe: Policies, into: Path) -> None:
        mu, log = self.mu(recipes.mu_of(recipe)), self.log(recipe.log)
        probe = policies.Probe(mu, log, recipe.probe, recipe.seed)
        table = into / "policies.json"
        rows = json.loads(table.read_text()) if table.exists() else []
        walked = policies.walk(mu, log, recipe, probe, into / "state.pt", self.say)
        for name, distance, weights in walked:
            # A walk that goes on may come by snapshots again that were kept, the same ones.
            before = [row["name"] for row in rows]
            rows = rows[: before.index(name)] if name in before else rows
            _save(mu, weights, into / str(len(rows)))
            rows.append({"name": name, "kl": distance})
            files.write(table, json.dumps(rows, indent=1) + "\n")
        (into / "state.pt").unlink(missing_ok=True)

    def _make_scores(self, recipe: Scores, into: Path) -> None:
        from safetensors.numpy import save_file

        log = self.log(recipe.log)
        found = {}
        for name, _, model in self.policies(recipe.policies):
            self.say(f"scores: {name}")
            found[name] = scoring.score(model, log, recipe.batch, words.characters())
        save_file(found, into / "scores.safetensors")

    def _model(self, folder: Path, mu: Mu) -> Model:
        model, vocabulary = models.folder(folder)
        known = words.characters().digest
        if vocabulary.digest != known:
            raise Unusable(f"{folder} is of the vocabulary {vocabulary.digest}, not {known}")
        return model.to(mu.device)


def prompts_of(recipe: Logged, *, held_out: int = 0) -> list[tasks.Example]:
    """Return the log's prompts; or, with `held_out`, so many of each task that are not in it."""
    found = []
    for name, n in zip(recipe.mu.tasks, recipe.prompts, strict=True):
        logged = tasks.examples(name, n, seed=recipe.seed, distinct=True)
        if held_out:
            known = {item.prompt for item in logged}
            seed = recipe.seed + HELD_OUT
            logged = tasks.examples(name, held_out, seed=seed, without=known, distinct=True)
        found += logged
    return found


def check(place: Path) -> None:
    """Raise Unusable where a file of a thing that was made is not what it was."""
    try:
        made = json.loads((place / MADE).read_text())
        digests = dict(made["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _changed(place / MADE, f"cannot be read ({error})") from error
    for name, digest in digests.items():
        path = place / name
        if not path.is_file():
            raise _changed(path, "is missing")
        if _digest(path) != digest:
            raise _changed(path, "is not what was made: its digest has changed")


def _changed(path: Path, why: str) -> Unusable:
    return Unusable(f"{path} {why}: remove its folder, and the same command makes it again")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(folder: Path, recipe: Json) -> None:
    """Write down what was made, and the digest of every file."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    digests = {name: _digest(folder / name) for name in names if name != MADE}
    content = {"recipe": recipe, "sha256": digests}
    files.write(folder / MADE, json.dumps(content, indent=1) + "\n")


def _save(model: Model, weights: dict[str, Tensor], into: Path) -> None:
    """Save a model of mu's kind with other weights, as a folder of its own."""
    now = policies.copied(model)
    model.load_state_dict(weights)
    model.save_pretrained(into)
    words.characters().tokenizer.save_pretrained(into)
    model.load_state_dict(now)


@contextlib.contextmanager
def _waiting(path: Path) -> Iterator[None]:
    """Hold a lock file while the body runs, waiting for whoever holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
