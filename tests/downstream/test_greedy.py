import torch

from fairseq_summarymixing.downstream.greedy import ctc_greedy


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
        expected = [slow_greedy(one, length, blank) for one, length in zip(emissions, lengths.tolist())]
        assert ctc_greedy(emissions, lengths, blank) == expected


def test_a_blank_between_equal_tokens_keeps_both():
    path = torch.tensor([1, 1, 0, 1, 2, 2, 0, 0])
    emissions = torch.nn.functional.one_hot(path, 3)[None].float()
    assert ctc_greedy(emissions, torch.tensor([8])) == [[1, 1, 2]]


def test_frames_of_padding_are_not_read():
    emissions = torch.randn(1, 30, 6)
    padded = torch.cat([emissions, torch.randn(1, 12, 6)], dim=1)
    assert ctc_greedy(padded, torch.tensor([30])) == ctc_greedy(emissions, torch.tensor([30]))


def test_all_blank_and_no_frames_are_empty():
    blanks = torch.tensor([5.0, 0.0, 0.0]).expand(2, 9, 3)
    assert ctc_greedy(blanks, torch.tensor([9, 0])) == [[], []]
    assert ctc_greedy(torch.zeros(1, 0, 3), torch.tensor([0])) == [[]]
