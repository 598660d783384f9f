"""Compare the memory that a run needs at least with what the machine has: before a model is built, and before the first
step."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional

import numpy as np
import torch

from ..errors import UserError, counted, enough_memory_for, is_out_of_memory
from .guard import guard

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
COPIES = 4  # of a parameter: itself, its gradient and, with Adam, two moments


def install() -> None:
    """Guard the steps of a training, outside of what fairseq does itself: it passes over a batch that a GPU cannot
    hold."""
    from fairseq.data.iterators import CountingIterator
    from fairseq.trainer import Trainer

    guard(Trainer, "train_step", memory_for_batches)
    guard(Trainer, "valid_step", memory_for_batches)
    guard(CountingIterator, "__next__", memory_to_load)


@contextlib.contextmanager
def memory_for_batches(trainer: Any, samples: Any, *args, **kwargs) -> Iterator[None]:
    """Report in one line that a step does not fit into memory, with its batch and the fields to lower."""
    with enough_memory_for(
        described(samples), f"lower {' or '.join(sizes(trainer.cfg))}; earlier checkpoints are kept"
    ):
        yield


@contextlib.contextmanager
def memory_to_load(*args, **kwargs) -> Iterator[None]:
    """Report in one line that a batch could not be loaded."""
    with enough_memory_for(
        "the next batch", "lower dataset.max_tokens, dataset.num_workers or dataset.data_buffer_size"
    ):
        yield


def sizes(cfg: Any) -> List[str]:
    """Return the fields that bound a batch, with their values, such as "dataset.max_tokens=1400000"."""
    fields = ("max_tokens", "batch_size", "max_tokens_valid", "batch_size_valid")
    values = {f"dataset.{name}": getattr(cfg.dataset, name, None) for name in fields}
    values["task.max_sample_size"] = getattr(getattr(cfg, "task", None), "max_sample_size", None)
    return [f"{name}={value}" for name, value in values.items() if value is not None]


def described(samples: Any) -> str:
    """Describe the largest of a step's batches, as fairseq's trainer takes them."""
    batches = samples if isinstance(samples, (list, tuple)) else [samples]
    sources = [batch["net_input"]["source"] for batch in batches if batch and "source" in batch.get("net_input", {})]
    if not sources:
        return "a step"
    shape = max(sources, key=lambda source: source.numel()).shape
    return f"a batch of {counted(shape[0], 'utterance')} of {shape[-1]} samples"


def check_memory_to_build(build: Callable[[], torch.nn.Module]) -> None:
    """Check that memory holds the parameters of a model that ``build`` gives, before they are allocated; not of a model
    that cannot be built without values, on torch's device "meta".

    Raises:
        UserError: it does not.
    """
    needed = 0
    with contextlib.suppress(NotImplementedError, RuntimeError), torch.device("meta"):
        needed = sum(parameter.numel() * parameter.element_size() for parameter in build().parameters())
    limit = memory_bytes(torch.device("cpu"))
    if limit is not None and needed > limit:
        raise UserError(
            f"the model's parameters take {gigabytes(needed)}, and this machine has {gigabytes(limit)} of memory: "
            "take a smaller model (model.encoder_layers, model.encoder_embed_dim, model.encoder_ffn_embed_dim)"
        )


@contextlib.contextmanager
def allocated_model(*args, **kwargs) -> Iterator[None]:
    """Report in one line that the memory for a model could not be had."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        asked = re.search(r"allocate (\d+) bytes", str(error))
        which = f", of which a part takes {gigabytes(int(asked[1]))}" if asked else ""
        raise UserError(
            f"there is not enough memory for the model{which}: take a smaller one (model.encoder_layers, "
            "model.encoder_embed_dim, model.encoder_ffn_embed_dim)"
        ) from error


@contextlib.contextmanager
def enough_memory(cfg: Any, trainer: Any, task: Any, epoch_itr: Any) -> Iterator[None]:
    """Check that memory holds the parameters and, for a full batch, one copy of the output of each convolution and each
    layer: a lower bound of what is needed."""
    model, limit = trainer.model, memory_bytes(trainer.device)
    is_half = any(getattr(cfg.common, name, False) for name in ("fp16", "bf16", "amp"))
    needed = parameter_bytes(model) + largest_batch(cfg, epoch_itr) * activations_per_sample(model) * (
        2 if is_half else 4
    )
    if limit is not None and needed > limit:
        machine = "this machine" if trainer.device.type == "cpu" else trainer.device
        raise UserError(
            f"this run needs at least {gigabytes(needed)} of memory, and {machine} has {gigabytes(limit)}: "
            f"lower {sizes(cfg)[0]} (and raise optimization.update_freq), or take a smaller model"
        )
    yield


def gigabytes(number: float) -> str:
    """Return bytes as "0.123 GB" or "12,300 GB"."""
    return f"{number / 1e9:,.0f} GB" if number >= 1e12 else f"{number / 1e9:.3g} GB"


def parameter_bytes(model: torch.nn.Module) -> int:
    """Return the bytes of parameters; of those that are trained, with gradient and Adam's moments."""
    return sum(
        parameter.numel() * parameter.element_size() * (COPIES if parameter.requires_grad else 1)
        for parameter in model.parameters()
    )


def activations_per_sample(model: torch.nn.Module) -> float:
    """Return how many numbers a sample of audio leaves, at least, for the backward pass: its share of the output of
    each convolution of the front end, where it is trained, and of each layer of the encoder. 0 of a model whose parts
    are not known here."""
    model = getattr(model, "module", model)
    model = getattr(getattr(model, "w2v_encoder", model), "w2v_model", model)
    frontend, layers = getattr(model, "feature_extractor", None), getattr(getattr(model, "encoder", None), "layers", ())
    width = getattr(model, "mask_emb", None)
    if frontend is None or width is None:
        return 0.0
    rate, convolved = 1.0, 0.0
    for module in frontend.modules():
        if isinstance(module, torch.nn.Conv1d):
            rate /= module.stride[0]
            convolved += rate * module.out_channels
    hop = getattr(frontend, "hop", 1 / rate)
    is_waveform = rate < 1 and abs(hop * rate - 1) < 1e-6  # of log-mel, convolutions see frames
    is_trained = getattr(model, "feature_grad_mult", 1) > 0
    return (convolved if is_waveform and is_trained else 0.0) + len(layers) * len(width) / hop


def memory_bytes(device: torch.device) -> Optional[int]:
    """Return the bytes of a device's memory, of the CPU what this process may have; None where it is not known."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if device.type != "cpu":
        return None
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text()))
    return min(limits)


def largest_batch(cfg: Any, epoch_itr: Any) -> int:
    """Return the most samples that a batch may hold; 0 where that is not known."""
    sizes = np.asarray(getattr(getattr(epoch_itr, "dataset", None), "sizes", ()))
    if cfg.dataset.max_tokens is None or sizes.ndim != 1 or not len(sizes):
        return 0
    return min(cfg.dataset.max_tokens, int(sizes.sum()), int(sizes.max()) * (cfg.dataset.batch_size or len(sizes)))
