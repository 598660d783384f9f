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


def no_summary(mixer, x, lengths, num_heads):
    """c(LN(f(x_t))), one frame at a time. x: (B, T, D). Padding gives 0."""
    out = torch.zeros_like(x)
    for b, length in enumerate(lengths):
        for t in range(length):
            out[b, t] = F.gelu(mixer.combiner(mixer.local_norm(branch(x[b, t], mixer.local, num_heads, F.gelu))))
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


def hyper_mixing(mixer, x, lengths, num_heads):
    """LayerNorm(W2 gelu(W1^T x)), one hidden unit, one head and one frame at a time. x: (B, T, D). Padding gives 0."""

    def generated(network, head, frame):
        """A frame's row of W1 or W2, (D'/n,): that head's two layers. frame: (D/n,)."""
        first, _, second = network
        hidden = F.gelu(frame @ first.weight[head] + first.bias[head, 0])
        return hidden @ second.weight[head] + second.bias[head, 0]

    out = torch.zeros_like(x)
    for b, length in enumerate(lengths):
        mixed = [[] for _ in range(length)]
        for h in range(num_heads):
            frames = [x[b, t].chunk(num_heads)[h] for t in range(length)]
            w1 = [generated(mixer.hypernetwork_in, h, frame) for frame in frames]
            w2 = [generated(mixer.hypernetwork_out, h, frame) for frame in frames]
            hidden = [F.gelu(sum(w1[t][j] * frames[t] for t in range(length))) for j in range(len(w1[0]))]
            for t in range(length):
                mixed[t].append(sum(w2[t][j] * hidden[j] for j in range(len(hidden))))
        for t in range(length):
            out[b, t] = mixer.layer_norm(torch.cat(mixed[t]))
    return out


def fastformer(mixer, x, lengths, num_heads):
    """R(k * v_t) + q_t with a global query and a global key, head by head. x: (B, T, D). Padding gives 0."""

    def average(vectors, score):
        """Frames (T, D/n) weighted by softmax_t(score . frame / sqrt(D/n))."""
        weights = torch.softmax(torch.stack([score @ vector for vector in vectors]) / math.sqrt(len(score)), dim=0)
        return sum(weight * vector for weight, vector in zip(weights, vectors))

    out = torch.zeros_like(x)
    for b, length in enumerate(lengths):
        queries, keys, values = (p(x[b, :length]) for p in (mixer.query, mixer.key, mixer.value))
        heads = []
        for h in range(num_heads):
            query, key, value = (part.chunk(num_heads, dim=-1)[h] for part in (queries, keys, values))
            global_query = average(query, mixer.query_score[h])
            global_key = average([global_query * frame for frame in key], mixer.key_score[h])
            heads.append(global_key * value)
        for t in range(length):
            out[b, t] = mixer.transform(torch.cat([head[t] for head in heads])) + queries[t]
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
