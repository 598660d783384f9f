"""Recipes: every number of every group, negative, 0, NaN, infinite, huge, or no number."""

import dataclasses
import typing

import yaml
from case import Case
from commands import FINETUNE, PRETRAIN
from damage import odd_value

# A huge number of processes is what was asked for, and no machine's business
COUNTS_OF_PROCESSES = ("num_workers", "distributed_world_size", "distributed_num_procs", "nprocs_per_node")


def make(draw, folder):
    command = draw.choice([PRETRAIN, PRETRAIN, FINETUNE])
    path = folder / f"{command[-1]}.yaml"
    recipe = yaml.safe_load(path.read_text())
    group, field, kind = draw.choice(numeric_fields(recipe))
    value = odd_value(draw)
    if field in COUNTS_OF_PROCESSES and isinstance(value, (int, float)):
        value = min(value, 2)
    if "List" in str(kind) or isinstance(recipe.get(group, {}).get(field), list):
        value = draw.choice([[value], [value], value, [0.1, value, 0.1]])
    recipe.setdefault(group, {})[field] = value
    path.write_text("# @package _global_\n" + yaml.safe_dump(recipe))
    return Case(list(command), f"{group}.{field}={value!r:.60}")


def numeric_fields(recipe):
    """(group, field, type) of all fields of numbers of a recipe's groups, fairseq's and registered ones."""
    from fairseq.dataclass.configs import FairseqConfig
    from fairseq.models import MODEL_DATACLASS_REGISTRY
    from fairseq.registry import REGISTRIES
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    found = []
    registries = {"model": MODEL_DATACLASS_REGISTRY, "task": TASK_DATACLASS_REGISTRY}
    registries.update({group: registry["dataclass_registry"] for group, registry in REGISTRIES.items()})
    for group in dataclasses.fields(FairseqConfig):
        name = (recipe.get(group.name) or {}).get("_name")
        owner = registries[group.name][name] if name else group.default
        for each in dataclasses.fields(owner) if dataclasses.is_dataclass(owner) else ():
            kinds = {each.type, *typing.get_args(each.type)}
            if kinds & {int, float}:
                found.append((group.name, each.name, each.type))
    return sorted(found, key=str)
