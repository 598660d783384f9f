"""Report in one line what ends fairseq-hydra-train before it loads its user directory, or in the process that has
spawned the others, which never does. hydra loads this file (``hydra_plugins/``), where the package is installed."""

import functools
import importlib
import os
import sys
from typing import Any, Callable

from omegaconf import OmegaConf

from . import SWITCH
from .interrupts import REPORTED_BY_PARENT, report_interrupt
from .messages import is_about


def install() -> None:
    """Wrap the functions in which hydra prepares a job's folder, and fairseq its processes."""
    from fairseq.distributed import utils

    if os.environ.get(SWITCH) == "off":
        return
    for name in ("hydra", "core_plugins.basic_launcher"):
        module = importlib.import_module(f"hydra._internal.{name}")
        module.run_job = in_a_writable_folder(module.run_job)
    utils.call_main = reporting(utils.call_main)


def is_ours(cfg: Any) -> bool:
    """Return whether a configuration names this package as user directory."""
    user_dir = str(OmegaConf.select(cfg, "common.user_dir") or "")
    return os.path.basename(os.path.normpath(user_dir)) == __name__.split(".")[0]


def in_a_writable_folder(run_job: Callable) -> Callable:
    """Report that hydra cannot write its log and configuration."""

    @functools.wraps(run_job)
    def run(*args, **kwargs):
        try:
            return run_job(*args, **kwargs)
        except (OSError, ValueError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__  # ValueError: logging's, of its file
            configs = [value for value in (*args, *kwargs.values()) if OmegaConf.is_config(value)]
            if not isinstance(cause, OSError) or cause.filename is None or not any(map(is_ours, configs)):
                raise
            raise SystemExit(
                f"error: hydra cannot write {cause.filename}: {cause.strerror}; start from a folder that can be "
                "written to, or set hydra.run.dir=FOLDER"
            ) from None

    return run


def reporting(call_main: Callable) -> Callable:
    """Report more processes than GPUs, a spawned process that has ended, and Ctrl-C."""

    @functools.wraps(call_main)
    def call(cfg: Any, main: Callable, **kwargs):
        from torch.multiprocessing import ProcessExitedException

        if not is_ours(cfg):
            return call_main(cfg, main, **kwargs)
        sys.excepthook = functools.partial(report_interrupt, sys.excepthook)
        os.environ[REPORTED_BY_PARENT] = "1"
        try:
            return call_main(cfg, main, **kwargs)
        except AssertionError as error:
            if not is_about(error, "more processes than GPUs"):
                raise
            message = (
                f"distributed_training.distributed_world_size={cfg.distributed_training.distributed_world_size} is "
                "more than the GPUs here: set it to their number, on a machine without GPU to 1 with common.cpu=true; "
                "or start the processes by torchrun"
            )
        except ProcessExitedException as error:
            message = f"process {error.error_index} has ended with status {error.exit_code}; its message stands above"
            if error.exit_code < 0:
                message = (
                    f"process {error.error_index} was killed ({error.signal_name}), for want of memory for instance"
                )
        raise SystemExit(f"error: {message}")

    return call
