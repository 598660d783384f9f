import torch

from fairseq_summarymixing.downstream.greedy import ctc_greedy
from fairseq_summarymixing.downstream.hypothesis import Hypothesis, word_times


def slow_greedy(emissions, length, blank):
    answer, previous = [], None
    for frame in range(length):
        token = max(range(emissions.size(-1)), key=lambda index: emissions[frame, index].item())
        if token != previous and token != blank:
            answer.append(token)
        previous = token
    return answer


def test_greedy_decoding_equals_the_obvious_loop():
    emissions = torch.randn(5, 40, 4)
    lengths = torch.tensor([40, 1, 17, 0, 2])
    for blank in (0, 3):
        for utterance, length in zip(emissions, lengths):
            assert ctc_greedy(utterance[:length], blank).tokens == slow_greedy(utterance, length, blank)


def test_a_blank_between_equal_tokens_keeps_both():
    path = torch.tensor([1, 1, 0, 1, 2, 2, 0, 0])
    found = ctc_greedy(torch.nn.functional.one_hot(path, 3).float())
    assert found.tokens == [1, 1, 2]
    assert found.frames == [0, 3, 4]


def test_all_blank_and_no_frames_are_empty():
    assert ctc_greedy(torch.tensor([5.0, 0.0, 0.0]).expand(9, 3)).tokens == []
    assert ctc_greedy(torch.zeros(0, 3)).tokens == []


def test_words_have_the_times_of_their_letters():
    symbols = ["<blank>", "|", "A", "B"]
    hypothesis = Hypothesis([2, 3, 1, 1, 3], [0, 4, 5, 8, 10])
    words = word_times(hypothesis, symbols, "|", seconds=0.02, first=0.01)
    assert [word for word, _, _ in words] == ["AB", "B"]
    assert torch.tensor([word[1:] for word in words]).allclose(torch.tensor([[0.01, 0.11], [0.21, 0.23]]))
