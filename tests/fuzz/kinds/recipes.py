"""Recipes: every number of every group, negative, 0, NaN, infinite, huge, or no number."""

import dataclasses
import typing

import yaml
from case import Case
from command_lines import FINETUNE, PRETRAIN
from damage import EXTREMES, odd_value

# A huge one of these is as much work as was asked for
AMOUNTS = ("max_update", "max_epoch")


def make(draw, folder):
    command = draw.choice([PRETRAIN, PRETRAIN, FINETUNE])
    group, field, kind = draw.choice(numeric_fields(read(folder, command)))
    value = odd_value(draw)
    if field in AMOUNTS and isinstance(value, (int, float)):
        value = min(value, 2)
    if "List" in str(kind) or isinstance(read(folder, command).get(group, {}).get(field), list):
        value = draw.choice([[value], [value], value, [0.1, value, 0.1]])
    return case_of(folder, command, group, field, value)


def every(folder):
    """(command, group, field, value): each number of both recipes with each extreme; groups alike in both come once."""
    found = []
    for command in (PRETRAIN, FINETUNE):
        recipe = read(folder, command)
        known = {each[1:3] for each in found}
        for group, field, kind in numeric_fields(recipe):
            if (group, field) in known and "_name" not in (recipe.get(group) or {}):
                continue
            length = 3 if "Tuple" in str(kind) else 1 if "List" in str(kind) else 0
            for value in EXTREMES[float if "float" in str(kind) else int]:
                if value <= 0 or field not in AMOUNTS:
                    found.append((command, group, field, [value] * length if length else value))
    return found


def case_of(folder, command, group, field, value):
    """Set a field of the command's recipe."""
    recipe = read(folder, command)
    recipe.setdefault(group, {})[field] = value
    path = folder / f"{command[-1]}.yaml"
    path.write_text("# @package _global_\n" + yaml.safe_dump(recipe))
    return Case(list(command), f"{group}.{field}={value!r:.60}")


def read(folder, command):
    return yaml.safe_load((folder / f"{command[-1]}.yaml").read_text())


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
            if {int, float} & set(types_in(each.type)):
                found.append((group.name, each.name, each.type))
    return sorted(found, key=str)


def types_in(kind):
    """All types that a type is made of, such as float and None of Optional[List[float]]."""
    inner = typing.get_args(kind)
    return [each for one in inner for each in types_in(one)] if inner else [kind]
