"""Write an untrained checkpoint of a pre-training recipe, as fairseq saves it: to try exports, sizes and costs.

    python examples/untrained.py examples/pretraining/summarymixing_155m_librilight.yaml untrained.pt
    python examples/untrained.py RECIPE CHECKPOINT --ctc model.encoder_layers=2 model.mixer=self_attention

With --ctc a model for letters, ``wav2vec_ctc``, around it. Random weights, the same ones each time.
"""

import argparse
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Sequence, Tuple

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn
from yaml import YAMLError

from fairseq_summarymixing.compat import quiet_fairseq
from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.files import atomic_write

Fields = Dict[str, Any]
LETTERS = "|ETAOINSHRDLUCMFWYGPBVK'XJQZ"


def write_untrained(recipe: Path, checkpoint: Path, ctc: bool = False, overrides: Sequence[str] = ()) -> None:
    """Build the model of a recipe and write its checkpoint.

    Args:
        ctc: whether a fine-tuned model, with random weights as well, is written.
        overrides: such as ``model.encoder_layers=2``.

    Raises:
        UserError: there is no such recipe, it is not one of pre-training, its model cannot be built, or the checkpoint
            would have the name of a recipe.
    """
    from fairseq.models import MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY
    from fairseq.tasks import TASK_DATACLASS_REGISTRY

    from fairseq_summarymixing import models, tasks  # noqa: F401  # which registers them

    if checkpoint.suffix in (".yaml", ".yml"):
        raise UserError(f"{checkpoint} has the name of a recipe; expected that of a checkpoint, such as untrained.pt")
    model_fields, task_fields = read_recipe(recipe, overrides)
    name, task_name = str(model_fields.get("_name")), str(task_fields.get("_name"))
    if name not in MODEL_REGISTRY or "w2v_path" in model_fields:
        raise UserError(f"{recipe}: expected a pre-training recipe; its model is {name}")
    if task_name not in TASK_DATACLASS_REGISTRY:
        raise UserError(f"{recipe}: expected a pre-training recipe; its task is {task_name}")
    task = {**task_fields, "data": ""}
    torch.manual_seed(1)
    try:
        OmegaConf.merge(OmegaConf.structured(TASK_DATACLASS_REGISTRY[task_name]), task_fields)
        config = OmegaConf.merge(OmegaConf.structured(MODEL_DATACLASS_REGISTRY[name]), model_fields)
        model = MODEL_REGISTRY[name].build_model(config)
    except (OmegaConfBaseException, ValueError) as error:
        raise UserError(f"{recipe}: {str(error).splitlines()[0]}") from error
    if ctc:
        save_ctc(checkpoint, {"model": model_fields, "task": task})
    else:
        save(checkpoint, model, {**plain(config), "_name": name}, task, {})


def read_recipe(recipe: Path, overrides: Sequence[str]) -> Tuple[Fields, Fields]:
    """Return the fields of a recipe's model and of its task, with overrides."""
    stray = [override for override in overrides if not re.match(r"(model|task)\.\w+=", override)]
    if stray:
        raise UserError(f"expected fields as in model.encoder_layers=2; got {stray[0]}")
    try:
        settings = OmegaConf.merge(OmegaConf.load(recipe), OmegaConf.from_dotlist(list(overrides)))
        parts = OmegaConf.to_container(settings["model"]), OmegaConf.to_container(settings["task"])
        if not all(isinstance(part, dict) for part in parts):
            raise TypeError("model and task must hold fields")
        return parts
    except FileNotFoundError as error:
        raise UserError(f"{recipe}: there is no such recipe") from error
    except (OmegaConfBaseException, YAMLError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{recipe}: expected a recipe in YAML with model and task") from error


def save_ctc(checkpoint: Path, inner: Fields) -> None:
    """Write a ``wav2vec_ctc`` model around an inner model, whose configuration is given."""
    from fairseq.data import Dictionary
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig, Wav2VecCtc

    dictionary = Dictionary()
    for letter in LETTERS:
        dictionary.add_symbol(letter)
    normalize = inner["task"].get("normalize", False)
    given = {"w2v_path": "", "data": "", "normalize": normalize, "w2v_args": inner, "ddp_backend": "legacy_ddp"}
    config = OmegaConf.merge(OmegaConf.structured(Wav2Vec2CtcConfig), given)
    for name in list(config):
        if OmegaConf.is_interpolation(config, name):
            config[name] = None  # it names another part of a recipe
    model = Wav2VecCtc.build_model(config, SimpleNamespace(target_dictionary=dictionary))
    task = {"_name": "audio_finetuning", "data": "", "normalize": normalize, "labels": "ltr", "tpu": False}
    save(checkpoint, model, {**plain(config), "_name": "wav2vec_ctc"}, task, {"target_dictionary": dictionary})


def save(checkpoint: Path, model: nn.Module, model_fields: Fields, task: Fields, task_state: Fields) -> None:
    """Write a checkpoint of 0 updates, laid out as fairseq's trainer does."""
    configuration = {"model": model_fields, "task": task, "criterion": None}
    state = {"args": None, "cfg": configuration, "model": model.state_dict(), "task_state": task_state}
    history = [{"optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}]
    with atomic_write(checkpoint, "wb") as file:
        torch.save({**state, "optimizer_history": history, "extra_state": {}, "last_optimizer_state": None}, file)


def plain(config: DictConfig) -> Fields:
    return OmegaConf.to_container(config, resolve=True, enum_to_str=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="YAML file of a pre-training")
    parser.add_argument("checkpoint", type=Path, help="file to write")
    parser.add_argument("overrides", nargs="*", help="fields of the recipe, such as model.encoder_layers=2")
    parser.add_argument("--ctc", action="store_true", help="a fine-tuned model, for letters")
    args = parser.parse_intermixed_args()

    def write() -> None:
        with quiet_fairseq():
            write_untrained(args.recipe, args.checkpoint, args.ctc, args.overrides)

    return exit_status(write, parser)


if __name__ == "__main__":
    sys.exit(main())
