"""Check the numbers of a recipe outside model and task, but for lengths.

fairseq checks few: others end in a stack trace far from their cause, in a run without end, or in silence.
"""

import math
from typing import Any, Dict, Iterator, Tuple

from omegaconf import OmegaConf

from ..data.audio import RATES
from ..errors import UserError
from ..modules.config import MOST_LAYERS, check_range

# Lowest and highest, and the fields of this range. Null is not checked; of a list every number is
RANGES: Dict[Tuple[float, float], str] = {
    (1, math.inf): """
        common.log_interval common.all_gather_list_size common.model_parallel_size common.fp16_init_scale
        common.fp16_scale_window common.amp_init_scale common.amp_scale_window
        distributed_training.distributed_world_size distributed_training.bucket_cap_mb
        dataset.max_tokens dataset.batch_size dataset.max_tokens_valid dataset.batch_size_valid
        dataset.required_batch_size_multiple dataset.validate_interval dataset.num_shards
        optimization.update_freq checkpoint.save_interval checkpoint.checkpoint_shard_count
        lr_scheduler.total_num_update task.max_sample_size""",
    (0, math.inf): """
        task.min_sample_size
        common.empty_cache_freq common.amp_batch_retries common.min_loss_scale
        distributed_training.distributed_rank distributed_training.device_id
        dataset.num_workers dataset.data_buffer_size dataset.validate_interval_updates dataset.validate_after_updates
        dataset.max_valid_steps dataset.curriculum dataset.shard_id
        optimization.max_epoch optimization.max_update optimization.stop_time_hours optimization.clip_norm
        optimization.lr checkpoint.save_interval_updates optimizer.adam_eps optimizer.weight_decay
        lr_scheduler.warmup_updates lr_scheduler.warmup_steps lr_scheduler.hold_steps lr_scheduler.decay_steps
        lr_scheduler.max_update lr_scheduler.init_lr_scale lr_scheduler.lr
        lr_scheduler.end_learning_rate lr_scheduler.power""",
    (-1, math.inf): """
        checkpoint.keep_interval_updates checkpoint.keep_interval_updates_pattern checkpoint.keep_last_epochs
        checkpoint.keep_best_checkpoints checkpoint.patience""",
    (0, 1024): "dataset.num_workers",
    (1, MOST_LAYERS): "model.encoder_layers",
    (0, 1): "common.fp16_scale_tolerance lr_scheduler.phase_ratio",
    RATES: "task.sample_rate",
    (1e-12, math.inf): "lr_scheduler.final_lr_scale model.layer_decay",  # fairseq takes their logarithm or divides
    (0, 2**32 - 1): "common.seed task.seed dataset.fixed_validation_seed",  # numpy's seeds
}
LARGEST = 2**53  # beyond, floats skip whole numbers and integers of 64 bits overflow in products
LISTS = ("optimization.lr", "optimization.update_freq")
ENDS = ("optimization.max_update", "optimization.max_epoch", "optimization.stop_time_hours")


def check_numbers(cfg: Any) -> None:
    """Check the numbers of a run's configuration.

    Raises:
        UserError: the first number that is out of its range, by its field; a run that has no batch size or no end.
    """
    _check_end(cfg)
    for (lowest, highest), names in RANGES.items():
        for name in names.split():
            for value in _numbers(cfg, name):
                try:
                    check_range(name, value, lowest, highest)
                except ValueError as error:
                    raise UserError(str(error)) from None
                if value > LARGEST and math.isfinite(value):
                    raise UserError(f"{name} must be at most {LARGEST}; got {value}")
    _check_all_of_their_kind(cfg)
    for name in LISTS:
        if not list(_numbers(cfg, name)):
            raise UserError(f"{name} must hold a number for each epoch, the last for all further epochs; it is empty")
    shares = list(_numbers(cfg, "lr_scheduler.phase_ratio"))
    if shares and (len(shares) != 3 or sum(shares) != 1):  # as fairseq asks
        raise UserError(f"lr_scheduler.phase_ratio must be three shares that sum to 1; got {shares}")
    if shares and 0 in _numbers(cfg, "lr_scheduler.max_update"):
        raise UserError("lr_scheduler.max_update must be at least 1, over which the three shares are laid out; got 0")
    if cfg.dataset.max_tokens is None and cfg.dataset.batch_size is None:
        raise UserError("no batch size is given: set dataset.max_tokens, in samples, or dataset.batch_size")


def _check_all_of_their_kind(cfg: Any) -> None:
    """Check the numbers that a field's kind bounds, in any group: none is NaN, and a dropout lies in 0 to 1."""
    for group in cfg:
        if not OmegaConf.is_config(cfg.get(group)):
            continue
        for field in cfg[group]:
            name = f"{group}.{field}"
            for value in () if OmegaConf.is_missing(cfg[group], field) else _numbers(cfg, name):
                if math.isnan(value):
                    raise UserError(f"{name} must be a number; got {value}")
                if ("dropout" in field or "layerdrop" in field) and not 0 <= value <= 1:
                    raise UserError(f"{name} must lie between 0 and 1; got {value}")


def _check_end(cfg: Any) -> None:
    if cfg.optimization.max_update != 0:
        return
    schedule = OmegaConf.select(cfg, "lr_scheduler._name")
    is_laid_out = {
        "polynomial_decay": 0 in _numbers(cfg, "lr_scheduler.total_num_update"),
        "tri_stage": bool(list(_numbers(cfg, "lr_scheduler.phase_ratio"))),
    }
    if is_laid_out.get(schedule):
        raise UserError(f"optimization.max_update=0: the learning rates of {schedule} are laid out over it; set it")
    stops_early = cfg.checkpoint.patience > 0 or cfg.optimization.stop_min_lr >= 0
    if not stops_early and not any(OmegaConf.select(cfg, name) for name in ENDS):
        raise UserError(f"nothing would end this run: set {' or '.join(ENDS)}")


def _numbers(cfg: Any, name: str) -> Iterator[float]:
    """Yield a field's number, or the numbers of its list; none where there is no such field or it is null."""
    group = OmegaConf.select(cfg, name.split(".")[0])
    value = OmegaConf.select(group, name.split(".")[1]) if OmegaConf.is_config(group) else None
    for number in value if OmegaConf.is_list(value) or isinstance(value, (list, tuple)) else [value]:
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            yield number
