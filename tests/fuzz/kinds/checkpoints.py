"""Checkpoints: damaged files, and whole ones whose fields or parameters are not what they were."""

import torch
from case import Case
from command_lines import ALL_OR_NOTHING, CODES, COMPARE, DECODE, EXPORT, FEATURES, FINETUNE, PRETRAIN, TRANSCRIBE
from damage import damage_file, damage_inside, damaged_bytes, odd_value

COMMANDS = (
    ("ctc.pt", DECODE),
    ("ctc.pt", TRANSCRIBE),
    ("ctc.pt", EXPORT),
    ("ctc.pt", (*FEATURES[:2], "ctc.pt", *FEATURES[3:])),
    ("pretrained.pt", FEATURES),
    ("pretrained.pt", CODES),
    ("pretrained.pt", FINETUNE),
    ("pretrained.pt", (*PRETRAIN, "+model.init_from=pretrained.pt")),
    ("pretrained.pt", (*PRETRAIN, "checkpoint.restore_file=pretrained.pt")),
    ("pretrained.pt", (*PRETRAIN, "checkpoint.finetune_from_model=pretrained.pt")),
    ("run/checkpoint_last.pt", COMPARE),
)


def make(draw, folder):
    name, command = draw.choice(COMMANDS)
    path = folder / name
    if command is COMPARE:
        path.write_bytes((folder / "pretrained.pt").read_bytes())
    damage = damage_file(draw, path, damaged_bytes) if not draw.randrange(3) else _rewritten(draw, path)
    return Case(list(command), damage, command in ALL_OR_NOTHING)


def _rewritten(draw, path):
    state = torch.load(path, weights_only=False)
    part = draw.choice(["cfg", "cfg", "model", "all"])
    if part == "model":
        damage = damage_inside(draw, state["model"], lambda draw: _parameter(draw, state["model"]))
    else:
        damage = damage_inside(draw, state if part == "all" else state["cfg"])
    torch.save(state, path)
    return f"{path.name}: {part} {damage}"


def _parameter(draw, model):
    """Another parameter, or one that no model can use."""
    found = draw.choice([value for value in model.values() if torch.is_tensor(value)]).clone()
    ways = [lambda: odd_value(draw), lambda: found, lambda: found.long(), lambda: found.half(), lambda: found[..., :1]]
    ways += [lambda: torch.full_like(found, draw.choice([float("nan"), float("inf"), 1e30]))] * 2
    ways += [lambda: torch.zeros(0), lambda: found.to(torch.complex64), lambda: found.to_sparse()]
    return draw.choice(ways)()
