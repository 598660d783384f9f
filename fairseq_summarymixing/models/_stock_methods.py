"""Provide the methods of stock ``wav2vec2`` that users call in Python, though fairseq's own code does not call them on
our model."""

from typing import Any, Optional, Tuple

from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Model
from torch import Tensor


class StockMethods:
    """A mixin for a subclass of :class:`~fairseq_summarymixing.modules.wav2vec2.Wav2Vec2`, which has ``quantize``
    itself."""

    compute_preds = Wav2Vec2Model.compute_preds
    sample_negatives = Wav2Vec2Model.sample_negatives
    cross_sample_negatives = 0

    @property
    def n_negatives(self) -> int:
        return self.objective.num_negatives

    @property
    def logit_temp(self) -> float:
        return self.objective.logit_temp

    def apply_mask(
        self,
        x: Tensor,
        padding_mask: Optional[Tensor],
        mask_indices: Optional[Tensor] = None,
        mask_channel_indices: Optional[Tensor] = None,
    ) -> Tuple[Tensor, Optional[Tensor]]:
        """Mask frames, drawn from PyTorch's CPU generator unless ``mask_indices`` gives them, and channels.

        Args:
            x: (B, T, D).
            padding_mask: (B, T), bool, True = padding; None = there is none.
            mask_indices: (B, T), bool, True = masked.

        Returns:
            x, masked, and (B, T), bool, True = masked; None in its place where ``mask_prob`` is 0 and none was given.
        """
        refuse(mask_channel_indices=mask_channel_indices)
        batch, frames, _ = x.shape
        lengths = [frames] * batch if padding_mask is None else (~padding_mask).sum(dim=1).tolist()
        masks = self.sample_frame_masks(lengths, frames, self._generators(None, batch), mask_indices)
        draws_none = mask_indices is None and self.masking.mask_prob == 0
        return self.apply_masks(x, masks), None if draws_none else masks.time.to(x.device)

    def _get_feat_extract_output_lengths(self, input_lengths: Tensor) -> Tensor:
        """Return the frames for each number of samples; (B,) to (B,)."""
        return self.feature_extractor.output_lengths(input_lengths)


def refuse(**arguments: Any) -> None:
    """Raise ValueError for an argument of stock's that has no meaning here, unless it is None."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{name} is not supported by wav2vec2_summarymixing: leave it out, or use stock wav2vec2")
