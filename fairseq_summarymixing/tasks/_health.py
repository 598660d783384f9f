"""Warn of known failures of contrastive pre-training while they can still be corrected."""

import math
from typing import List, Optional

FEW_CODES = 5.0  # code perplexity, summed over groups, of a codebook that distinguishes nothing
SHORT_PATIENCE = 100  # updates
FEW_UPDATES = 10


class HealthMonitor:
    """A monitor that watches loss, accuracy and code perplexity, and warns of each known failure once.

    Args:
        patience: updates at the loss of guessing before the warning.
    """

    def __init__(self, patience: int = 5000):
        self.patience = patience
        self._streaks = {"stuck": 0, "collapsed": 0, "not finite": 0, "nothing masked": 0}

    def check_finite(self, loss: float) -> List[str]:
        """Take the loss of one batch; returns the warnings."""
        message = self._after(
            "not finite",
            not math.isfinite(loss),
            1,
            f"the loss is {loss}. Usual remedies: a lower optimization.lr, a longer warm-up, optimization.clip_norm, "
            "bf16 or fp32 instead of fp16; look for damaged audio.",
        )
        return [message] if message else []

    def check_masked(self, frames: float) -> List[str]:
        """Take the number of masked frames of one update; returns the warnings."""
        message = self._after(
            "nothing masked",
            frames == 0,
            FEW_UPDATES,
            f"for {FEW_UPDATES} updates no frame was masked, so nothing is learned. Look at model.mask_prob, and for "
            "very short clips, to which their whole batch is cropped (task.min_sample_size).",
        )
        return [message] if message else []

    def update(
        self,
        loss: float,
        accuracy: Optional[float],
        code_perplexity: Optional[float],
        num_negatives: Optional[int],
    ) -> List[str]:
        """Take one update's figures; returns the warnings, mostly none.

        Args:
            loss: contrastive loss in bits per masked frame.
            accuracy: share of masked frames whose target was found, 0 to 1.
            code_perplexity: entries in use, summed over groups.
            num_negatives: distractors per masked frame.
        """
        chance = math.log2(1 + num_negatives) if num_negatives else None
        stuck = chance is not None and abs(loss - chance) < 0.005 * chance
        few_codes = code_perplexity is not None and code_perplexity < FEW_CODES
        collapsed = few_codes and accuracy is not None and accuracy > 0.95
        messages = [
            self._after(
                "stuck",
                stuck,
                self.patience,
                f"for {self.patience} updates the loss has stood at log2(1 + num_negatives) = {chance or 0:.3f} bits, "
                "which is guessing. Usual remedies: more audio per update (optimization.update_freq), a lower or "
                "higher optimization.lr, a longer warm-up; check that clips hold speech.",
            ),
            self._after(
                "collapsed",
                collapsed,
                SHORT_PATIENCE,
                f"accuracy is {accuracy or 0:.2f} while about {code_perplexity or 0:.1f} codebook entries are in use: "
                "the codebook has collapsed and the task is trivial. Usual remedies: a larger weight of the "
                "diversity loss (criterion.loss_weights), a lower optimization.lr, more audio per update.",
            ),
        ]
        return [message for message in messages if message]

    def _after(self, failure: str, seen: bool, patience: int, message: str) -> Optional[str]:
        self._streaks[failure] = self._streaks[failure] + 1 if seen else 0
        return message if self._streaks[failure] == patience else None
