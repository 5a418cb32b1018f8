"""What can be set about the loss, checked when it is set.

    gradient of -loss = mean over cells of E_mu[(f(w) / mean f (r - b) - c w) grad log pi]

A cell is a prompt's group of sequences, or the whole batch. Section 12.1 of the paper is
`mode="paper"`; everything else is what that section leaves to choose.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from isr_theory.rule import Method, check_rule
from isr_theory.training.atlas import ATLAS, WeightFunction
from isr_theory.training.ranges import check_number

Mode = Literal["default", "paper"]
Form = Literal["detached", "boxcox", "differentiated"]
Normalisation = Literal["group", "batch", "none"]
Baseline = Literal["none", "mean", "control"]


class DifferentiatedPowerWarning(UserWarning):
    """Differentiating w^gamma itself gives the gradient weight gamma w^gamma: 0, not 1, at 0."""


@dataclass(frozen=True)
class Settings:
    """The settings of `ISReshapeLoss`.

    Raises ValueError for a setting that is not allowed, or that another one makes meaningless,
    naming it, and TypeError for one of another kind; `form="differentiated"` warns with
    `DifferentiatedPowerWarning`.
    """

    rho_min: float = 0.3
    """The ESS/n that gamma has to keep, in (0, 1)."""
    gamma: float | None = None
    """A fixed gamma in [0, 1]; None chooses it from the batch."""
    method: Method = "lognormal"
    """How it is chosen, as in `isr_theory.weights.gamma_star`."""
    gamma_min: float = 0.0
    gamma_max: float = 1.0
    weight: WeightFunction | str = "power"
    """The weight function f, or its key in `ATLAS`; a parameter `gamma` it has is the rule's."""
    parameters: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Parameters of f other than its own values of them."""
    form: Form = "detached"
    """What is differentiated: w^gamma log pi with the weight held, expm1(gamma log w)/gamma, both
    with the gradient weight w^gamma, or, as a warning example, w^gamma itself."""
    normalisation: Normalisation | None = None
    """Weights are divided by their mean over a prompt's group, over the batch, or not at all. None
    is "group" for w^gamma, as in the paper, and "none" for every other f, which is then what its
    source has; see `normalised`."""
    reward_normaliser: bool = False
    """Divide by the mean of f(w) r instead, so that w^gamma r is a distribution: needs r >= 0."""
    baseline: Baseline = "none"
    """"mean" takes the group's mean reward off the reward, which for gamma < 1 moves the expected
    gradient (claim OBJ.baseline; the metric `baseline_biased` says so) and for gamma = 1 makes it
    1 - 1/n times as large, since a sequence's own reward is in the mean of n; "control" takes c w
    off the weight, which moves it for no gamma, fixed beforehand, and no size of batch (claim
    VAR.control): w itself enters, so that pi and mu must be normalised, and log w below 88 in
    float32."""
    control: float | None = None
    """c, in units of the normalised weight; None fits it, for each sequence on the others."""
    rescale: bool = False
    """Without rewards, divide by 1 - gamma, smoothly up to gamma = 1, where the gradient of w^gamma
    dies: what is left there is that of -KL(pi || mu)."""
    mode: Mode = "default"
    """"paper" is the listing of section 12.1 as it behaves."""
    validate: bool = True
    """Look at the values of masks, groups and rewards, which makes the host wait for a device."""

    def __post_init__(self) -> None:
        self._check_types()
        check_rule(self.rho_min, self.method, self.gamma_min, self.gamma_max)
        for name, allowed in _WORDS.items():
            value = getattr(self, name)
            if value not in get_args(allowed) and not (name == "normalisation" and value is None):
                words = ", ".join(get_args(allowed))
                raise ValueError(f"{name} must be one of {words}, not {value!r}")
        if self.gamma is not None and not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be None or in [0, 1], not {self.gamma}")
        if self.control is not None and not math.isfinite(self.control):
            raise ValueError(f"control must be None or a finite number, not {self.control}")
        self._check_weight()
        self._check_together()
        if self.form == "differentiated":
            warnings.warn(
                "form='differentiated' has the gradient weight gamma w^gamma, which is 0 at"
                " gamma = 0 where SFT's is 1",
                DifferentiatedPowerWarning,
                stacklevel=3,
            )

    def _check_types(self) -> None:
        for name in ("rho_min", "gamma_min", "gamma_max", "gamma", "control"):
            value = getattr(self, name)
            if not (isinstance(value, float) and math.isnan(value)):
                check_number(name, value, none=name in ("gamma", "control"))
        for name in ("reward_normaliser", "rescale", "validate"):
            value = getattr(self, name)
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False, not {type(value).__name__}")
        weight: object = self.weight
        if not isinstance(weight, (str, WeightFunction)):
            kind = type(weight).__name__
            raise TypeError(f"weight must be a key of ATLAS or a WeightFunction, not {kind}")
        parameters: object = self.parameters
        if not isinstance(parameters, Mapping):
            raise TypeError(f"parameters must be a mapping, not {type(parameters).__name__}")

    def _check_weight(self) -> None:
        if isinstance(self.weight, str) and self.weight not in ATLAS:
            raise ValueError(f"weight must be one of {', '.join(ATLAS)}, not {self.weight!r}")
        known = [name for name in self.entry.parameters if name != "gamma"]
        for name in self.parameters:
            if name not in known:
                raise ValueError(
                    f"parameters must be of {self.entry.key} ({', '.join(known) or 'it has none'});"
                    f" {name!r} is not"
                    + (": gamma is an argument of its own" if name == "gamma" else "")
                )
        self.entry.check({**self.entry.parameters, **self.parameters})

    def _check_together(self) -> None:
        powers = self.is_power
        for name, wrong, why in (
            ("form", self.form != "detached" and not powers, "needs weight='power'"),
            ("rescale", self.rescale and not powers, "needs weight='power'"),
            ("rescale", self.rescale and self.form != "detached", "needs form='detached'"),
            (
                "rescale",
                self.rescale and (self.baseline != "none" or self.reward_normaliser),
                "takes no baseline and no reward_normaliser",
            ),
            (
                "reward_normaliser",
                self.reward_normaliser and self.baseline == "mean",
                "needs rewards of at least 0, and baseline='mean' makes some negative",
            ),
            (
                "reward_normaliser",
                self.reward_normaliser and self.entry.advantage is not None,
                f"needs the rewards themselves, which weight={self.entry.key!r} moves",
            ),
            (
                "reward_normaliser",
                self.reward_normaliser and self.normalised == "none",
                "needs a normalisation, 'group' or 'batch'",
            ),
            (
                "baseline",
                self.baseline == "control" and self.entry.level == "token",
                "'control' needs a weight function of whole sequences",
            ),
        ):
            if wrong:
                raise ValueError(f"{name}={getattr(self, name)!r} {why}")
        if self.mode == "paper":
            self._check_paper()
        self._check_used()

    def _check_used(self) -> None:
        """Refuse what would be ignored."""
        if self.control is not None and self.baseline != "control":
            raise ValueError(f"control={self.control!r} needs baseline='control'")
        if not self.uses_gamma:
            self._refuse_changed(_RULE, f"does nothing: weight={self.entry.key!r} has no gamma")
        elif self.gamma is not None:
            self._refuse_changed(
                ("rho_min", "method"), f"does nothing: gamma={self.gamma!r} is fixed"
            )
            if not self.gamma_min <= self.gamma <= self.gamma_max:
                raise ValueError(
                    f"gamma={self.gamma!r} is not in [gamma_min, gamma_max] ="
                    f" [{self.gamma_min}, {self.gamma_max}]"
                )

    def _refuse_changed(self, names: tuple[str, ...], why: str) -> None:
        plain = type(self).__dataclass_fields__
        for name in names:
            given = getattr(self, name)
            if given != plain[name].default:
                raise ValueError(f"{name}={given!r} {why}")

    def _check_paper(self) -> None:
        why = "is no setting of mode='paper'"
        if self.parameters:
            raise ValueError(f"parameters={self.parameters!r} {why}")
        self._refuse_changed(_NOT_IN_PAPER, why)

    @property
    def entry(self) -> WeightFunction:
        """The weight function itself."""
        return ATLAS[self.weight] if isinstance(self.weight, str) else self.weight

    @property
    def uses_groups(self) -> bool:
        """Whether it matters which prompt a sequence is of."""
        return self.normalised == "group" or self.baseline == "mean"

    @property
    def uses_gamma(self) -> bool:
        """Whether f has a gamma."""
        return "gamma" in self.entry.parameters

    @property
    def is_power(self) -> bool:
        """Whether f is the paper's w^gamma of whole sequences."""
        # A function of one's own may have the same key.
        return self.entry is ATLAS["power"]

    @property
    def normalised(self) -> Normalisation:
        """The normalisation that holds."""
        if self.normalisation is not None:
            return self.normalisation
        return "group" if self.is_power else "none"


_WORDS = {"mode": Mode, "form": Form, "normalisation": Normalisation, "baseline": Baseline}
_RULE = ("gamma", "rho_min", "method", "gamma_min", "gamma_max")
_NOT_IN_PAPER = (
    "gamma",
    "method",
    "weight",
    "form",
    "normalisation",
    "reward_normaliser",
    "baseline",
    "control",
    "rescale",
)
