"""Add transcripts to the audio of a corpus: those that are too long for their audio are skipped, counted and logged."""

from typing import Any, Callable, Dict, List, Optional

import torch
from fairseq.data import AddTargetDataset
from torch import Tensor

LONGEST = 2**24  # samples, 17 minutes; stock wav2vec2 computes lengths in fp32, which counts no further


class ResilientTargetDataset(AddTargetDataset):
    """An ``AddTargetDataset`` of fairseq's over a ``ResilientAudioDataset``, for CTC.

    CTC gives each symbol a frame, and one more stands between two that are the same: the loss of an utterance with
    fewer frames is infinite. Such an utterance is unusable.

    Args:
        stock: the data set that fairseq made, over a ``ResilientAudioDataset``.
        symbol: an index of the dictionary, the transcript of noise.
        output_lengths: maps samples to frames, (B,) int64; None where the model does not give it.
    """

    def __init__(self, stock: AddTargetDataset, symbol: int, output_lengths: Optional[Callable[[Tensor], Tensor]]):
        super().__init__(stock.dataset, stock.labels, stock.pad, stock.eos, stock.batch_targets)
        self.process_label, self.label_len_fn = stock.process_label, stock.label_len_fn
        self.add_to_input, self.text_compressor = stock.add_to_input, stock.text_compressor
        self.symbol = symbol
        # of a symbol and a space each
        most = max((len(self.get_label(index)) for index in range(len(self.labels))), default=0) + 2
        self._shortest = shortest_audio(output_lengths, most) if output_lengths else [0] * (most + 1)

    @property
    def num_skipped(self) -> int:
        """The number of utterances that this process and its workers found unusable."""
        return self.dataset.num_skipped

    def __getitem__(self, index: int) -> Dict[str, Any]:
        """Return ``id``, ``source``, (samples,), and ``label``, (symbols,); ``source`` is None where unusable."""
        item = super().__getitem__(index)
        needed = frames_needed(item["label"])
        if item["source"] is not None and len(item["source"]) < self._shortest[needed]:
            self.dataset.skip(
                index,
                f"it has {len(item['source'])} samples, its transcript of {len(item['label'])} symbols needs "
                f"{self._shortest[needed]}, a frame for each",
            )
            item["source"] = None
        return item

    def collater(self, samples: List[Dict[str, Any]]) -> Dict[str, Any]:
        """Pad the usable samples to one length; where none is usable, noise under no ``id``."""
        usable = [sample for sample in samples if sample["source"] is not None]
        batch = super().collater(usable or [self._noise_sample()])
        if not usable:
            batch["id"] = batch["id"][:0]
        return batch

    def noise(self) -> Dict[str, Any]:
        """Return a batch of noise with a transcript of one symbol."""
        return self.collater([self._noise_sample()])

    def name(self, index: int) -> str:
        """Return an utterance's path, as in the manifest."""
        return self.dataset.name(index)

    def _noise_sample(self) -> Dict[str, Any]:
        return {**self.dataset.noise_sample(), "label": torch.IntTensor([self.symbol])}


def frames_needed(label: Tensor) -> int:
    """Return how many frames CTC needs for these symbols, (N,)."""
    return len(label) + int((label[1:] == label[:-1]).sum())


def shortest_audio(output_lengths: Callable[[Tensor], Tensor], most: int) -> List[int]:
    """Return the fewest samples that give 0, 1, ... ``most`` frames, at most :data:`LONGEST`."""
    frames = torch.arange(most + 1)
    low, high = torch.zeros_like(frames), torch.full_like(frames, LONGEST)
    while bool((low < high).any()):
        middle = (low + high) // 2
        enough = output_lengths(middle) >= frames
        low, high = torch.where(enough, low, middle + 1), torch.where(enough, middle, high)
    return high.tolist()
