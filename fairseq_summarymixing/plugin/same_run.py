"""Check that the processes of one run were given the same fields, checkpoint and data: otherwise each would train a
model of its own, or wait for the others for ever."""

import contextlib
import hashlib
import json
from typing import Any, Dict, Iterator, List

import numpy as np
import torch.distributed as dist
from omegaconf import OmegaConf

from ..errors import UserError, counted
from .failures import fail_alike
from .guard import guard
from .working_folder import READ_PATHS

# Groups that no training reads, and what hydra adds
OF_NO_TRAINING = frozenset("common_eval generation eval_lm interactive job_logging_cfg".split())
# Fields that a process may have to itself: its place, where its machine has files, what it logs and how it loads data
OF_ONE_PROCESS = frozenset(READ_PATHS).union(
    """
    distributed_training.distributed_rank distributed_training.device_id distributed_training.distributed_no_spawn
    distributed_training.distributed_num_procs distributed_training.nprocs_per_node
    distributed_training.distributed_init_method distributed_training.distributed_port
    distributed_training.heartbeat_timeout
    checkpoint.save_dir checkpoint.checkpoint_suffix
    model.data ema.ema_seed_model criterion.wer_kenlm_model criterion.wer_lexicon
    common.user_dir common.quantization_config_path common.plasma_path common.use_plasma_view
    common.log_file common.log_format common.log_interval common.no_progress_bar common.tensorboard_logdir
    common.wandb_project common.azureml_logging common.aim_repo common.aim_run_hash common.reset_logging
    common.suppress_crashes common.profile common.empty_cache_freq dataset.num_workers dataset.data_buffer_size
    """.split()
)
ABSENT = "nothing"


def install() -> None:
    """Compare the processes of a run: their fields where it begins, what they go on from, and their data before each
    epoch."""
    import fairseq_cli.train
    from fairseq.trainer import Trainer

    guard(fairseq_cli.train, "add_defaults", same_fields)
    guard(Trainer, "load_checkpoint", same_beginning)
    guard(fairseq_cli.train, "train", same_data)


@contextlib.contextmanager
def same_fields(cfg: Any) -> Iterator[None]:
    """Check that all processes have the same configuration, but for :data:`OF_ONE_PROCESS`."""
    yield
    check_same(shared_fields(cfg), "give all of them the same")


@contextlib.contextmanager
def same_beginning(trainer: Any, filename: str, *args, **kwargs) -> Iterator[None]:
    """Check that all processes find the checkpoint that they go on from, or none does: fairseq sends what the first
    process reads to those that see the file. Its name may be each process's own, as with shards."""
    from fairseq.file_io import PathManager

    found = "a file" if PathManager.isfile(filename) else "no file"
    check_same({"the checkpoint to go on from": found}, "share its folder between the machines, or copy it")
    yield


@contextlib.contextmanager
def same_data(cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> Iterator[None]:
    """Check that all processes have read the same manifests, as far as lengths show it: each takes its share of the
    batches."""
    sizes = {split: np.asarray(getattr(dataset, "sizes", ())) for split, dataset in task.datasets.items()}
    check_same({f"the manifest of {split}": described(each) for split, each in sizes.items()}, "copy it")
    yield


def shared_fields(cfg: Any) -> Dict[str, str]:
    """Return the values, as JSON, of the fields that all processes must share, by dotted name; of groups that are a
    configuration, which those of fairseq's oldest models are not."""
    found = {}
    for group in cfg:
        if group not in OF_NO_TRAINING and OmegaConf.is_config(cfg[group]):
            values = OmegaConf.to_container(cfg[group], resolve=True, enum_to_str=True)
            found.update({f"{group}.{name}": json.dumps(value, default=str) for name, value in values.items()})
    return {name: value for name, value in found.items() if name not in OF_ONE_PROCESS}


def described(sizes: np.ndarray) -> str:
    """Describe the lengths of a data set: how many, their sum, and a checksum."""
    checksum = hashlib.sha256(sizes.astype(np.int64).tobytes()).hexdigest()[:8]
    return f"{counted(len(sizes), 'utterance')} of {int(sizes.sum())} samples (checksum {checksum})"


def check_same(given: Dict[str, str], remedy: str) -> None:
    """Check that all processes of this run hold the same texts by the same names; called by all of them.

    Raises:
        UserError: in each of them; names the first that differs, and the first two processes that differ in it.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return
    digest = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()
    if len(set(gathered(digest))) == 1:
        return
    everywhere = gathered(given)
    names = dict.fromkeys(name for each in everywhere for name in each)
    names = sorted(names, key=lambda name: name.startswith("model."))  # which takes some from other groups
    by_process = {name: [each.get(name, ABSENT) for each in everywhere] for name in names}
    name, (first, *others) = next((name, values) for name, values in by_process.items() if len(set(values)) > 1)
    rank, other = next((rank, value) for rank, value in enumerate(others, 1) if value != first)
    fail_alike()
    raise UserError(
        f"{name} must be the same for all processes of a run; got {first} in process 0 and {other} in process {rank}: "
        f"{remedy}"
    )


def gathered(value: Any) -> List[Any]:
    """Return the value of each process, by rank."""
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values
