"""Do probes compute what they say, whatever shares the batch?"""

import pytest
import torch

from fairseq_summarymixing.downstream.probe.model import (
    BLSTM,
    AttentiveStatistics,
    BatchNorm,
    Linear,
    MeanPooling,
    Probe,
    RunningNorm,
    WeightedSum,
    XVector,
    statistics,
)

HEADS = {
    "linear": lambda: Linear(6, 4),
    "blstm": lambda: BLSTM(6, 4, 5),
    "mean": lambda: MeanPooling(6, 4),
    "statistics": lambda: AttentiveStatistics(6, 4, 5),
    "xvector": lambda: XVector(6, 4, 5),
}


def padding(*lengths):
    return torch.arange(max(lengths)) >= torch.tensor(lengths).unsqueeze(1)


def test_the_weighted_sum_is_a_loop_over_states():
    states, layer = torch.randn(3, 2, 5, 4), WeightedSum(3)
    assert layer.shares.tolist() == pytest.approx([1 / 3] * 3)
    with torch.no_grad():
        layer.weights.copy_(torch.tensor([0.3, -1.0, 2.0]))
    exponentials = [torch.tensor(weight).exp() for weight in (0.3, -1.0, 2.0)]
    expected = sum(state * share / sum(exponentials) for state, share in zip(states, exponentials))
    torch.testing.assert_close(layer(states), expected)


def test_statistics_are_a_loop_over_frames():
    x, shares = torch.randn(1, 4, 3), torch.tensor([0.1, 0.2, 0.3, 0.4]).view(1, 4, 1)
    for feature in range(3):
        mean = sum(float(shares[0, t]) * float(x[0, t, feature]) for t in range(4))
        variance = sum(float(shares[0, t]) * (float(x[0, t, feature]) - mean) ** 2 for t in range(4))
        found = statistics(x, shares)[0, [feature, 3 + feature]].tolist()
        assert found == pytest.approx([mean, variance**0.5], abs=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_an_utterance_alone_gives_what_it_gives_padded_and_padding_gets_no_gradient(name):
    probe, lengths = Probe(3, HEADS[name]()).eval(), (1, 9, 17)
    states = torch.randn(3, 3, 17, 6, requires_grad=True)
    together = probe(states, padding(*lengths))
    for row, length in enumerate(lengths):
        alone = probe(states[:, row : row + 1, :length], padding(length))
        found = together[row, :length] if together.dim() == 3 else together[row]
        torch.testing.assert_close(found, alone[0], atol=1e-5, rtol=1e-5)
    real = ~padding(*lengths)
    (together[real] if together.dim() == 3 else together).square().sum().backward()
    assert states.grad[:, ~real].abs().max() == 0
    assert states.grad[:, real].abs().max() > 0


@pytest.mark.parametrize("kind, sizes", [(MeanPooling, ()), (AttentiveStatistics, (8,)), (XVector, (8,))])
def test_heads_of_utterances_learn_by_how_little_utterances_differ_in_what_all_share(kind, sizes):
    """As real utterances do: 0.1 between the means of classes, where frames vary by 1, and all share a mean of 3."""
    head = kind(16, 4, *sizes)
    classes, shared = 0.1 * torch.randn(4, 16), 3 * torch.randn(16)
    targets = torch.arange(32) % 4
    x = shared + classes[targets].unsqueeze(1) + torch.randn(32, 100, 16)
    real = padding(*[100] * 32)
    optimizer = torch.optim.Adam(head.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(10 * head(x, real), targets).backward()
        optimizer.step()
    assert (head.eval()(x, real).argmax(dim=-1) == targets).float().mean() > 0.8


def test_batch_norm_is_torchs_of_real_frames_and_one_frame_alone_takes_the_running_averages():
    norm, expected, mask = BatchNorm(3), torch.nn.BatchNorm1d(3), padding(5, 2)
    for _ in range(3):
        x = torch.randn(2, 5, 3)
        found = norm(x, mask)
        torch.testing.assert_close(found[~mask], expected(torch.cat([x[0], x[1, :2]])))
        assert (found[mask] == 0).all()
    alone = torch.randn(1, 1, 3)
    torch.testing.assert_close(norm(alone, padding(1))[0], expected.eval()(alone[0]))
    torch.testing.assert_close(norm.running_mean, expected.running_mean)


def test_the_running_norm_is_by_mean_and_deviation_of_all_batches_so_far_even_of_batches_of_one():
    norm, x = RunningNorm(3), 5 + 0.1 * torch.randn(12, 3)
    for row in x:
        found = norm(row.unsqueeze(0))
    expected = (x - x.mean(dim=0)) / x.std(dim=0, unbiased=False)
    torch.testing.assert_close(found[0], expected[-1], atol=1e-2, rtol=1e-2)
    torch.testing.assert_close(norm.eval()(x), expected, atol=1e-2, rtol=1e-2)
    assert norm.batches == 12


@pytest.mark.parametrize("mean, deviation", [(27, 0.003), (1000, 0.1)])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_running_norm_rounds_no_small_deviation_from_a_large_mean_away(mean, deviation, size):
    """A normalised frame of 768 features has one of up to 27.7, and encoders have features that are always large."""
    norm, x = RunningNorm(3), mean + deviation * torch.randn(400, 3)
    for batch in x.split(size):
        norm(batch)
    found = norm.eval()(x).std(dim=0)
    assert (found > 0.5).all() and (found < 2).all()
    assert norm(torch.full((2, 3), float(mean))).abs().max() < 5


def test_the_running_norm_forgets_batches_of_long_ago():
    norm = RunningNorm(2)
    for value in [100.0] * 10 + [1.0, 3.0] * 150:
        norm(torch.full((4, 2), value))
    torch.testing.assert_close(norm.mean, torch.full((2,), 2.0), atol=0.1, rtol=0)


def test_padding_changes_nothing_in_the_training_of_speaker_embeddings():
    x, real = torch.randn(2, 9, 6), ~padding(9, 5)
    longer = torch.cat([x.masked_fill(~real.unsqueeze(-1), 7.0), torch.full((2, 4, 6), 7.0)], dim=1)
    head = XVector(6, 4, 5)
    found = head(longer, padding(9, 5, 13)[:2])
    torch.testing.assert_close(found, head(x, ~real), atol=1e-5, rtol=1e-5)


def test_the_blstm_is_torchs_bidirectional_lstm_of_packed_sequences():
    head, packed = BLSTM(6, 4, 5).eval(), torch.nn.LSTM(6, 5, num_layers=2, bidirectional=True, batch_first=True)
    for layer in range(2):
        for lstm, suffix in ((head.forwards[layer], ""), (head.backwards[layer], "_reverse")):
            for name, parameter in lstm.named_parameters():
                getattr(packed, name.replace("l0", f"l{layer}{suffix}")).data.copy_(parameter.data)
    x, lengths = torch.randn(3, 9, 6), torch.tensor([9, 1, 4])
    together = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(packed(together)[0], batch_first=True)
    found, real = head(x, padding(9, 1, 4)), ~padding(9, 1, 4)
    torch.testing.assert_close(found[real], head.output(expected)[real])


def test_speaker_embeddings_are_of_length_1_and_see_as_many_frames_as_in_the_paper():
    head, x = XVector(6, 4, 5), torch.randn(1, 31, 6, requires_grad=True)
    torch.testing.assert_close(head.embed(x, padding(31)).norm(dim=-1), torch.ones(1))
    frames, taken = x.transpose(1, 2), []
    for convolution in head.convolutions:
        frames = convolution(frames)
    frames[0, :, 15].sum().backward()
    taken = x.grad[0].abs().sum(dim=1).nonzero().flatten().tolist()
    assert (taken[0], taken[-1]) == (15 - 7, 15 + 7)
