"""Training any causal language model off-policy, with transformers' Trainer.

    loss = ISReshapeLoss of log pi(y_t | x, y_<t), kept log mu(y_t | x, y_<t) and rewards r(x, y)

`OffPolicyTrainer` is a `transformers.Trainer` whose rows are prompts, responses, rewards and the
log-probabilities of the policy that wrote them. `rows` checks and pads them, `logprobs` looks up
what the model gives their tokens, `reference` fills in a missing log mu once, `levels` says of
what ratio the weight is a function, `checkpoints` which checkpoint can be resumed from.
"""

try:
    import transformers  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'isr_theory.training.hf needs transformers ({error}): pip install "isr-theory[lm]"'
    ) from error

from isr_theory.training.hf.checkpoints import CheckpointError, newest_whole
from isr_theory.training.hf.levels import RATIOS, Ratio
from isr_theory.training.hf.logprobs import response_log_probs, token_log_probs
from isr_theory.training.hf.reference import scored
from isr_theory.training.hf.rows import Responses, Row, collate
from isr_theory.training.hf.trainer import OffPolicyTrainer

__all__ = [
    "RATIOS",
    "CheckpointError",
    "OffPolicyTrainer",
    "Ratio",
    "Responses",
    "Row",
    "collate",
    "newest_whole",
    "response_log_probs",
    "scored",
    "token_log_probs",
]
