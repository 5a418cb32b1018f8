"""What is made once and used by several experiments: recipes, and how to name what they make.

    mu  ->  a log  ->  policies at growing distance, trained on it  ->  their scores of another log

Scores are of a log that no policy has learned from: where it had, log w would be larger there than
it is under mu.

A recipe is a frozen dataclass of plain values and holds the recipe of what it starts from, so that
its digest names everything that its product depends on but the versions of the packages.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Mu:
    """A small decoder, trained on demonstrations some of whose characters are wrong.

    A step shows it one task: `batches` sequences of it, each task with its share of the steps.
    """

    tasks: tuple[str, ...] = ("chain_sum", "spell_backward", "caesar_cipher")
    shares: tuple[float, ...] = (0.25, 0.35, 0.4)
    batches: tuple[int, ...] = (128, 48, 16)
    width: int = 128
    layers: int = 4
    heads: int = 4
    corrupted: float = 0.08
    """The share of a demonstration's characters that are wrong: half of them another character,
    a quarter left out, a quarter said twice, which moves all that follow out of place."""
    steps: int = 2400
    learning_rate: float = 3e-3
    warmup: int = 100
    save_every: int = 200
    seed: int = 20261128
    device: str = "cpu"
    """Where it is trained and sampled: "cpu" or "cuda"."""
    bf16: bool = False
    """Train under autocast to bfloat16; what is logged and scored is in float32 all the same."""
    compiled: bool = False


@dataclass(frozen=True)
class Logged:
    """`each` responses of mu to so many prompts of each task, none of them twice."""

    mu: Mu = Mu()
    prompts: tuple[int, ...] = (376, 448, 200)
    """For each of mu's tasks."""
    each: int = 8
    batch: int = 512
    seed: int = 1


@dataclass(frozen=True)
class Policies:
    """Snapshots of one policy on its way from mu, by w^gamma r on mu's own log, graded rewards."""

    log: Logged = Logged(prompts=(188, 224, 100))
    distances: tuple[float, ...] = (0.005, 0.02, 0.1, 0.3, 0.6, 1.2)
    """KL(mu || pi) in nats a sequence, as `policies.distance` estimates it."""
    gamma: float = 0.5
    batch: int = 96
    probe: int = 192
    """How many of the log's sequences the distance is estimated on."""
    learning_rate: float = 1e-4
    warmup: int = 10
    most_steps: int = 600
    seed: int = 2


@dataclass(frozen=True)
class Scores:
    """log pi of every token of a log, by each of the policies."""

    policies: Policies = Policies()
    log: Logged = Logged(seed=3)
    """Another log of the same mu, which the policies have not seen."""
    batch: int = 256


Recipe: TypeAlias = Mu | Logged | Policies | Scores


def plain(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain data, its kind included."""
    found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return {"kind": type(recipe).__name__.lower(), **found}


def name_of(recipe: Recipe) -> str:
    """Return the name of what a recipe makes: its kind and its digest."""
    content = json.dumps(plain(recipe), sort_keys=True)
    return f"{type(recipe).__name__.lower()}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def needs(recipe: Recipe) -> list[Recipe]:
    """Return a recipe with all that it starts from, in the order of making."""
    match recipe:
        case Mu():
            return [recipe]
        case Logged():
            return [recipe.mu, recipe]
        case Policies():
            return [*needs(recipe.log), recipe]
        case Scores():
            return [*needs(recipe.policies), recipe.log, recipe]


def mu_of(recipe: Recipe) -> Mu:
    """Return the mu that a recipe starts from."""
    if isinstance(recipe, Mu):
        return recipe
    if isinstance(recipe, Logged):
        return recipe.mu
    return mu_of(recipe.log if isinstance(recipe, Policies) else recipe.policies)
