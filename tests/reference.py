"""Slow, obvious versions that the fast ones are tested against: loops over utterances, frames and heads."""

import math

import torch
import torch.nn.functional as F


def branch(x, parameters, num_heads, activation):
    """One frame through a branch: each linear layer head by head, an activation after each. x: (D,)."""
    for layer in (parameters.linear1, parameters.linear2):
        groups = x.chunk(num_heads)
        x = torch.cat([g @ layer.weight[h] + layer.bias[h, 0] for h, g in enumerate(groups)])
        x = activation(x)
    return x


def summary_mixing(mixer, x, lengths, num_heads, activation=F.gelu):
    """h_t = c([LN(f(x_t)) ; LN(mean_t s(x_t))]) for each real frame. x: (B, T, D). Padding gives 0."""
    out = torch.zeros_like(x)
    for b, length in enumerate(lengths):
        summary = torch.zeros(mixer.combiner.in_features // 2, dtype=x.dtype)
        for t in range(length):
            summary = summary + branch(x[b, t], mixer.summary, num_heads, activation)
        summary = mixer.summary_norm(summary / length)
        for t in range(length):
            local = mixer.local_norm(branch(x[b, t], mixer.local, num_heads, activation))
            out[b, t] = activation(mixer.combiner(torch.cat([local, summary])))
    return out


def summary_mixing_lite(mixer, x, lengths, num_heads, activation=F.gelu):
    """h_t = mean_t s(x_t) for each real frame. x: (B, T, D). Padding gives 0."""
    out = torch.zeros_like(x)
    for b, length in enumerate(lengths):
        frames = [branch(x[b, t], mixer.summary, num_heads, activation) for t in range(length)]
        for t in range(length):
            out[b, t] = sum(frames) / length
    return out


def self_attention(mixer, x, lengths, num_heads):
    """Softmax attention, one query and one head at a time. x: (B, T, D). Padding gives 0."""
    out = torch.zeros_like(x)
    head_dim = x.shape[-1] // num_heads
    for b, length in enumerate(lengths):
        queries, keys, values = (p(x[b, :length]) for p in (mixer.q_proj, mixer.k_proj, mixer.v_proj))
        for t in range(length):
            heads = []
            for h in range(num_heads):
                part = slice(h * head_dim, (h + 1) * head_dim)
                weights = torch.softmax(keys[:, part] @ queries[t, part] / math.sqrt(head_dim), dim=0)
                heads.append(weights @ values[:, part])
            out[b, t] = mixer.out_proj(torch.cat(heads))
    return out


def contrastive_logits(context, targets, target_ids, distractors, counts, temperature):
    """One masked frame and one distractor at a time."""
    rows, first = [], 0
    for count in counts:
        for i in range(first, first + count):
            row = [F.cosine_similarity(context[i], targets[i], dim=0) / temperature]
            for pick in distractors[i]:
                j = first + int(pick)
                similarity = F.cosine_similarity(context[i], targets[j], dim=0) / temperature
                same = target_ids[i] == target_ids[j]
                row.append(similarity.new_tensor(float("-inf")) if same else similarity)
            rows.append(torch.stack(row))
        first += count
    return torch.stack(rows)


def padding_mask(lengths, total):
    """(B, T), bool, True = padding."""
    return torch.tensor([[t >= length for t in range(total)] for length in lengths])
