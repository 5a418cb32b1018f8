"""Real bandit logs: the small Open Bandit Dataset, and a synthetic stand-in of the same form.

    python -m experiments.data open-bandit        fetch it; nothing else here downloads anything

10,000 impressions each of three campaigns of a fashion shop, shown by Bernoulli Thompson sampling
(bts) with the propensity of the item shown, and as many shown uniformly at random (Saito, Aihara,
Matsutani and Narita 2021, Open Bandit Dataset and Pipeline; CC BY 4.0). They are read out of the
wheel obp 0.4.1 of the package index, kept outside the repository's history, and checked by digest.
An impression is a position (1 to 3), an item, four hashed user features and a click.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import math
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent.parent / ".peers" / "open-bandit"
WHEEL = "obp==0.4.1"
ITEMS = {"all": 80, "men": 34, "women": 46}
POLICIES = ("bts", "random")
FEATURES = tuple(f"user_feature_{i}" for i in range(4))
DIGESTS = {
    ("bts", "all"): "0ad874e4dbf6902f0845dd478ad8dde5ef6903583d3ffaace78411bdad064106",
    ("bts", "men"): "db6d1f7ed2d591ba521533e45286d4c1fba7fe57a8ad2e80342210335f43c527",
    ("bts", "women"): "e5d1b49a39b608585a2f3014a3f54970430cd37a495c1b73fceb85cdf428a5b8",
    ("random", "all"): "7168295b6e0a9eabcf3392320a5dd434e542b68e705d5cd9491499af589812f1",
    ("random", "men"): "ede6d08c6877f99cd3770f7d09e26c738e6aa6de4445ccccfb1356ba5d06b1eb",
    ("random", "women"): "e65f3bd3beb17664fa69cc129bf7bf852a775f8ffa630506e505fc905315bb34",
}
SOURCE = {
    "name": "Open Bandit Dataset, small version, in the wheel obp 0.4.1",
    "reference": "Saito, Aihara, Matsutani and Narita 2021, arXiv 2008.07146",
    "licence": "CC BY 4.0",
    "sha256": {f"{policy}/{campaign}": digest for (policy, campaign), digest in DIGESTS.items()},
}
"""What results say of the data they come from."""


class MissingData(Exception):
    """Data that an experiment reads are not there, or are not what they should be."""


@dataclass(frozen=True)
class Log:
    """One log: a row an impression."""

    item: NDArray[np.int64]
    position: NDArray[np.int64]
    """0, 1 or 2, from left to right."""
    click: NDArray[np.float64]
    propensity: NDArray[np.float64]
    """The logger's probability of the item shown, at its position."""
    features: NDArray[np.int64]
    """A column a user feature, coded alike in both logs of a campaign."""


@dataclass(frozen=True)
class Campaign:
    """A campaign's two logs: what is learned and evaluated from, and what says the truth."""

    items: int
    levels: tuple[int, ...]
    """How many values each user feature has."""
    bts: Log
    random: Log

    @property
    def log_w(self) -> NDArray[np.float64]:
        """Return log w of the uniform policy against the logger, for the rows of `bts`."""
        log_w: NDArray[np.float64] = -math.log(self.items) - np.log(self.bts.propensity)
        return log_w


def install() -> Path:
    """Download the wheel that holds the data, once, and return where it is."""
    if not sorted(FOLDER.glob("obp-*.whl")):
        FOLDER.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", WHEEL]
        subprocess.run([*command, "-d", str(FOLDER)], check=True)
    for policy, campaign in DIGESTS:
        content(policy, campaign)
    return sorted(FOLDER.glob("obp-*.whl"))[0]


def content(policy: str, campaign: str) -> bytes:
    """Return one log as it was published; raise MissingData where it is not there, or another."""
    wheels = sorted(FOLDER.glob("obp-*.whl"))
    if not wheels:
        raise MissingData(
            "the Open Bandit Dataset is not installed: run `python -m experiments.data open-bandit`"
        )
    name = f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv"
    with zipfile.ZipFile(wheels[0]) as wheel:
        found = wheel.read(name)
    digest = hashlib.sha256(found).hexdigest()
    if digest != DIGESTS[policy, campaign]:
        raise MissingData(
            f"{wheels[0]} holds another {policy}/{campaign}.csv than expected (sha256 {digest}):"
            " remove it and run `python -m experiments.data open-bandit`"
        )
    return found


def table(policy: str, campaign: str, columns: Sequence[str]) -> Any:
    """Return columns of one log as a pyarrow table."""
    import pyarrow.csv as pc

    options = pc.ConvertOptions(include_columns=list(columns))
    return pc.read_csv(io.BytesIO(content(policy, campaign)), convert_options=options)


def open_bandit(campaign: str) -> Campaign:
    """Return a campaign's logs; raises MissingData where they are not installed."""
    columns = ["item_id", "position", "click", "propensity_score", *FEATURES]
    tables = [table(policy, campaign, columns) for policy in POLICIES]
    coded, levels = [], []
    for name in FEATURES:
        words = np.concatenate([t[name].to_numpy() for t in tables])
        values, codes = np.unique(words.astype(str), return_inverse=True)
        coded.append(codes)
        levels.append(len(values))
    both = np.stack(coded, axis=1)
    parts = np.split(both, [len(tables[0])])
    logs = [_log(t, part) for t, part in zip(tables, parts, strict=True)]
    return Campaign(ITEMS[campaign], tuple(levels), *logs)


def _log(rows: Any, features: NDArray[np.int64]) -> Log:
    return Log(
        item=rows["item_id"].to_numpy().astype(np.int64),
        position=rows["position"].to_numpy().astype(np.int64) - 1,
        click=rows["click"].to_numpy().astype(np.float64),
        propensity=rows["propensity_score"].to_numpy().astype(np.float64),
        features=features.astype(np.int64),
    )


def synthetic(rows: int, *, seed: int = 0, items: int = 6, rate: float = 0.1) -> Campaign:
    """Return logs of the same form whose truth is known: every item's click rate is drawn once.

    The logger prefers what is clicked, as a learning one does, and its preferences drift along the
    log. The value of the uniform policy is `rate` exactly: the items' rates have that mean.
    """
    rng = np.random.default_rng(seed)
    levels = (2, 3)
    shape = rng.gamma(2.0, size=items)
    rates = rate * shape / shape.mean()
    drift = np.linspace(0, 1, rows)[:, None] * rng.standard_normal(items)
    logits = 2 * np.log(shape) + drift
    propensities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    bts = _drawn(rng, propensities, rates, levels)
    random = _drawn(rng, np.full((rows, items), 1 / items), rates, levels)
    return Campaign(items, levels, bts, random)


def _drawn(rng: Any, propensities: Any, rates: Any, levels: tuple[int, ...]) -> Log:
    rows = len(propensities)
    item = (propensities.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)
    # The sum of a row of probabilities may fall short of 1 by rounding.
    item = np.minimum(item, propensities.shape[1] - 1)
    return Log(
        item=item,
        position=rng.integers(3, size=rows),
        click=(rng.random(rows) < rates[item]).astype(np.float64),
        propensity=propensities[np.arange(rows), item],
        features=np.stack([rng.integers(k, size=rows) for k in levels], axis=1),
    )


def main() -> None:
    """Fetch the data that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.data", description="Fetch real data that experiments read."
    )
    parser.add_argument("names", nargs="+", choices=["open-bandit"], metavar="open-bandit")
    parser.parse_args()
    print(f"{SOURCE['name']} ({SOURCE['licence']}): {install()}")


if __name__ == "__main__":
    main()
