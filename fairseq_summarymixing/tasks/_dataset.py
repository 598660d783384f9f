"""Load the audio of a corpus: recordings that cannot be used are skipped, counted and logged once."""

import io
import logging
import os
from typing import Any, Collection, Dict, List, Optional, Set

import numpy as np
import torch
from fairseq.data.audio.audio_utils import is_sf_audio_data, parse_path, read_from_stored_zip
from fairseq.data.audio.raw_audio_dataset import RawAudioDataset
from torch import Tensor

from ..data.audio import BadAudio, check_kind, read_mono, resample
from ..data.manifest_arrays import read_manifest_arrays
from ..errors import UserError, counted
from ._batches import shuffled_by_length
from ._rows import SharedRows
from ._waveforms import linear_map, normalised, pack, with_one_type

logger = logging.getLogger(__name__)

FILES_LOOKED_AT = 8  # before training
# Seconds. Of utterances of 10 to 30 s, 0.5 % is padding, and of the pairs in one batch fewer than 1 % meet again in
# the next epoch's, with 200,000 utterances
LENGTH_SPREAD = 0.25
SHORTEST = 400  # samples of one frame of wav2vec 2.0, and of one window of log-mel features


class ResilientAudioDataset(RawAudioDataset):
    """A data set like fairseq's ``FileAudioDataset`` that survives unusable files and whose batches and crops can be
    repeated.

    A file that cannot be read, is shorter than ``min_sample_size``, holds NaN, or has a wrong sample
    rate where that is refused, is left out of its batch, with one warning. Which utterances share a batch
    depends on the manifest, the seed and the epoch alone; crops on the seed, the epoch, the utterance and,
    without ``pad``, the batch's shortest.

    A batch without a usable utterance is noise whose ``id`` is empty, which a task ignores. It is not an empty dict,
    because in its place fairseq's trainer would compute the epoch's first batch, which may be unusable as well, and
    count its frames, or, where the empty batch comes last, none of the whole update's.

    Args:
        manifest_path: a .tsv; refused if damaged.
        sample_rate: Hz.
        resample_others: bring files of other rates to ``sample_rate``, instead of leaving them out.
        seed: of batches and crops.
        keep_precision: give ``source`` as integers, which fairseq does not round; :func:`._waveforms.unpack` converts
            a batch of them to waveforms.
        leave_out: paths, as in the manifest, that count as unusable. The batches stay the same, so that a run can go
            on in the middle of an epoch.
        redraw_batches: draw each epoch's batches anew; else they are stock's.
        arguments: as fairseq's ``RawAudioDataset``.

    Raises:
        UserError: the manifest is damaged, or none of the first files can be used.
    """

    def __init__(
        self,
        manifest_path: str,
        sample_rate: int,
        resample_others: bool = True,
        seed: int = 1,
        keep_precision: bool = False,
        leave_out: Collection[str] = (),
        redraw_batches: bool = True,
        **arguments: Any,
    ):
        super().__init__(sample_rate, **arguments)
        self.root_dir, rows = read_manifest_arrays(manifest_path)
        long_enough = rows.frames >= (self.min_sample_size or 0)
        self.skipped_indices = set(np.flatnonzero(~long_enough).tolist())  # fine-tuning leaves out their labels
        self._rows = SharedRows(rows.only(long_enough))
        self.sizes = self._rows.arrays.frames
        if len(self.sizes) == 0:
            raise UserError(f"{manifest_path}: every file is shorter than {self._least()}")
        if self.skipped_indices:
            short = len(self.skipped_indices)
            logger.warning(
                "%s: %d of %d files are shorter than %s and left out",
                manifest_path,
                short,
                short + len(self.sizes),
                self._least(),
            )
        self.manifest_path = manifest_path
        self.resample_others = resample_others
        self.seed = seed
        self.keep_precision = keep_precision
        self.redraw_batches = redraw_batches
        self.epoch = 1
        # shared with the workers that load the data
        self._unusable = torch.zeros(len(self.sizes), dtype=torch.uint8).share_memory_()
        self._left_out = self._indices_of(leave_out)
        self._refuse_hopeless()

    def __getstate__(self) -> Dict[str, Any]:
        return {**self.__dict__, "sizes": None}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.sizes = self._rows.arrays.frames

    @property
    def num_skipped(self) -> int:
        """The number of files that this process and its workers found unusable, without those left out by name."""
        return int(self._unusable.sum())

    @property
    def seconds(self) -> float:
        """The length of all files, by the manifest."""
        return float(np.sum(self.sizes)) / self.sample_rate

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        """Whether each epoch has the batches of the first, in another order."""
        return not self.redraw_batches

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.epoch = epoch

    def size(self, index: int) -> int:
        """Return the samples of an utterance, cropped to ``max_sample_size``."""
        return int(self.num_tokens_vec(index))

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        """Return :meth:`size` of many utterances."""
        return np.minimum(self.sizes[indices], self.max_sample_size)

    def ordered_indices(self) -> np.ndarray:
        """Return the order in which batches are filled: by length, redrawn each epoch."""
        if not self.redraw_batches:
            return super().ordered_indices()
        lengths = np.minimum(self.sizes, self.max_sample_size)
        return shuffled_by_length(lengths, LENGTH_SPREAD * self.sample_rate, self.seed, self.epoch)

    def __getitem__(self, index: int) -> Dict[str, Any]:
        """Return ``id`` and ``source``: (samples,) fp32 in [-1, 1], normalised if asked for; None where unusable.

        With ``keep_precision``, ``source`` of 16-bit files is int16, with its ``waveform_map`` (:mod:`._waveforms`).
        """
        if index in self._left_out:
            return {"id": index, "source": None}
        try:
            source = self._read(index)
        except BadAudio as error:
            self.skip(index, error)
            return {"id": index, "source": None}
        if source.dtype == torch.int16:
            return {"id": index, "source": source, "waveform_map": linear_map(source, self.normalize)}
        return {"id": index, "source": normalised(source) if self.normalize else source}

    def skip(self, index: int, reason: Any) -> None:
        """Count an utterance as unusable; the first time, log why."""
        if not self._unusable[index]:
            self._unusable[index] = 1
            logger.warning("skipping %s: %s", self._path(index), reason)

    def collater(self, samples: List[Dict[str, Any]]) -> Dict[str, Any]:
        """Crop or pad the usable samples to one length; where none is usable, noise under no ``id``."""
        samples = [sample for sample in samples if sample["source"] is not None]
        if not samples:
            return {**self.noise(), "id": torch.empty(0, dtype=torch.long)}
        lengths = [len(sample["source"]) for sample in samples]
        target = min(max(lengths) if self.pad else min(lengths), self.max_sample_size)
        for sample in samples:
            sample["source"] = self._crop(sample["source"], target, sample["id"])
        samples = with_one_type(samples)
        batch = super().collater(samples)
        if self.keep_precision:
            pack(batch, samples)
        return batch

    def noise(self) -> Dict[str, Any]:
        """Return a batch of noise, always the same, with ``id`` 0."""
        return self.collater([self.noise_sample()])

    def noise_sample(self) -> Dict[str, Any]:
        """Return noise in place of an utterance: of a second, or as long as utterances must be."""
        size = min(max(self.sample_rate, self.min_sample_size or 0), self.max_sample_size)
        source = 0.1 * torch.randn(size, generator=torch.Generator().manual_seed(0))
        return {"id": 0, "source": normalised(source) if self.normalize else source}

    def name(self, index: int) -> str:
        """Return an utterance's path, as in the manifest."""
        return self._rows.path(index)

    def _crop(self, source: Tensor, size: int, index: int) -> Tensor:
        if len(source) <= size:
            return source
        start = np.random.default_rng([self.seed, self.epoch, index]).integers(len(source) - size + 1)
        return source[start : start + size]

    def _indices_of(self, names: Collection[str]) -> Set[int]:
        found = {index for index in range(len(self.sizes)) if self.name(index) in names} if names else set()
        if found:
            logger.info("%s: %d files are left out by task.leave_out", self.manifest_path, len(found))
        return found

    def _path(self, index: int) -> str:
        return f"{self.root_dir}/{self.name(index)}"

    def _read(self, index: int) -> Tensor:
        int16_at = self.sample_rate if self.keep_precision else None
        samples, rate = read_mono(self._open(self._path(index)), int16_at)
        if rate != self.sample_rate:
            if not self.resample_others:
                raise BadAudio(
                    f"its sample rate is {rate} Hz, not {self.sample_rate}: set task.wrong_sample_rate=resample, "
                    "or make the manifest with --resample"
                )
            samples = resample(samples, rate, self.sample_rate)
        if len(samples) < (self.min_sample_size or 0):
            found = counted(len(samples), "sample")
            raise BadAudio(f"it has {found}, fewer than {self._least()}")
        return torch.from_numpy(samples)

    def _least(self) -> str:
        """Describe the length below which a file is left out."""
        is_a_frame = self.min_sample_size == SHORTEST
        return (
            f"the {SHORTEST} samples of a frame"
            if is_a_frame
            else f"task.min_sample_size={self.min_sample_size} samples"
        )

    @staticmethod
    def _open(path: str) -> Any:
        """Return the path, or the bytes of a file stored in a zip (``file.zip:offset:length``)."""
        try:
            file_path, zip_slice = parse_path(path)
        except FileNotFoundError as error:
            raise BadAudio("no such file") from error
        if not os.path.exists(file_path):
            raise BadAudio("no such file")
        if len(zip_slice) != 2:
            return file_path
        check_kind(file_path)
        try:
            data = read_from_stored_zip(file_path, *zip_slice)
        except (OSError, ValueError, OverflowError) as error:
            raise BadAudio(f"not readable: {error}") from error
        if len(data) < 3 or not is_sf_audio_data(data):  # which looks at three bytes
            raise BadAudio("no WAV, FLAC or OGG data at that place in the zip file")
        return io.BytesIO(data)

    def _refuse_hopeless(self) -> None:
        """Refuse a corpus of which nothing can be used at once, not file by file."""
        reason: Optional[BadAudio] = None
        for index in np.linspace(0, len(self.sizes) - 1, min(FILES_LOOKED_AT, len(self.sizes))).astype(int):
            try:
                self._read(int(index))
                return
            except BadAudio as error:
                reason = error
        raise UserError(f"{self.manifest_path}: no file that was tried can be used; {self._path(int(index))}: {reason}")
