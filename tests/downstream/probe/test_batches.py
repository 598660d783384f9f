"""Do batches hold every utterance once, and no more frames than they promise?"""

import numpy as np
import torch

from fairseq_summarymixing.downstream.probe.batches import Examples

BUDGET = 2000


class States:
    """Hidden states of one number a frame, each recording's being its name."""

    num_states, width = 1, 1

    def frames(self, path):
        return int(path)

    def __getitem__(self, path):
        return np.full((1, int(path), 1), int(path), dtype=np.float16)


def test_batches_hold_every_utterance_once_and_those_in_training_at_most_a_ninth_more():
    paths = [str(length) for length in np.random.default_rng(1).permutation(np.arange(50, 900))] + ["2500"]
    targets = [torch.tensor(int(path)) for path in paths]
    examples = Examples(States(), paths, targets, BUDGET, torch.device("cpu"))
    random, sizes = np.random.default_rng(2), []

    def check(batch, most):
        _, count, frames, _ = batch.states.shape
        assert count == 1 or count * frames <= most
        assert (~batch.padding_mask).sum(dim=1).tolist() == [int(target) for target in batch.targets]
        sizes.append(count * frames * (count > 1))
        return batch.targets

    assert examples.answers(lambda batch: check(batch, BUDGET)) == targets
    for _ in range(3):
        found = [int(target) for batch in examples.shuffled(random) for target in check(batch, BUDGET / 0.9)]
        assert sorted(found) == sorted(map(int, paths)) and found != sorted(found)
    assert max(sizes) > BUDGET
