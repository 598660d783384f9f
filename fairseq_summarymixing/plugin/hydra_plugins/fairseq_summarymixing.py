"""Report in one line the errors of fairseq-hydra-train before it loads its user directory, and those of the parent of
spawned processes, which never loads it; and let a sweep (``--multirun``) go on after a job with such an error.

hydra imports every module of this namespace whose name does not begin with "_". In programs other than
fairseq-hydra-train nothing happens, and in runs with another user directory errors stay as they are. The package itself
is not imported: fairseq would then refuse to load it from another folder. In the first seconds, while
fairseq-hydra-train imports fairseq itself, this code is not loaded yet, and Ctrl-C prints Python's stack trace.
"""

import contextlib
import functools
import importlib
import logging
import os
import re
import sys
from typing import Any, Callable, Iterator, List, NoReturn, Optional, Union

USER_DIR = "fairseq_summarymixing"
SWITCH = "FAIRSEQ_SUMMARYMIXING_PLUGIN"  # as in plugin/__init__.py
REPORTED_BY_PARENT = "FAIRSEQ_SUMMARYMIXING_PARENT_REPORTS"  # as in plugin/interrupts.py
INTERRUPTED = "interrupted; run the same command to go on from the last checkpoint"  # likewise

logger = logging.getLogger("fairseq_cli.hydra_train")
_failed: List[int] = []  # jobs of this sweep


def install() -> None:
    """Wrap the functions in which hydra prepares a job's folder and a sweep, and fairseq a job and its processes."""
    import fairseq_cli.hydra_train
    from fairseq.distributed import utils
    from hydra.core.plugins import Plugins
    from hydra_plugins._summarymixing_rendezvous import rendezvous

    for name in ("hydra", "core_plugins.basic_launcher"):
        module = importlib.import_module(f"hydra._internal.{name}")
        module.run_job = in_a_writable_folder(module.run_job)
    Plugins.instantiate_sweeper = sweeping(Plugins.instantiate_sweeper)
    fairseq_cli.hydra_train._hydra_main = going_on(fairseq_cli.hydra_train._hydra_main)
    utils.call_main = reporting(utils.call_main)
    utils.distributed_init = rendezvous(utils.distributed_init, is_ours, INTERRUPTED)


def is_ours(cfg: Any) -> bool:
    """Return whether a configuration names our package as user directory."""
    from omegaconf import OmegaConf

    user_dir = str(OmegaConf.select(cfg, "common.user_dir") or "") if OmegaConf.is_config(cfg) else ""
    return os.path.basename(os.path.normpath(user_dir)) == USER_DIR


def in_a_writable_folder(run_job: Callable) -> Callable:
    """Report that hydra cannot write its log and configuration."""

    @functools.wraps(run_job)
    def run(*args, **kwargs):
        try:
            return run_job(*args, **kwargs)
        except (OSError, ValueError) as error:
            if not any(map(is_ours, (*args, *kwargs.values()))):
                raise
            report_unwritable(error, "hydra.run.dir")

    return run


def report_unwritable(error: Union[OSError, ValueError], field: str) -> NoReturn:
    """End in one line where hydra could not write a file or folder, which the field chooses; raises other errors."""
    cause = error if isinstance(error, OSError) else error.__cause__  # ValueError: logging's, of its file
    if not isinstance(cause, OSError) or cause.filename is None:
        raise error
    raise SystemExit(
        f"error: hydra cannot write {cause.filename}: {cause.strerror}; start from a folder that can be written to, or "
        f"set {field}=FOLDER"
    ) from None


def sweeping(instantiate_sweeper: Callable) -> Callable:
    """Let a sweep of ours end with an error where one of its jobs has, when all have run."""

    @functools.wraps(instantiate_sweeper)
    def instantiate(*args, **kwargs):
        sweeper = instantiate_sweeper(*args, **kwargs)
        if any(map(is_ours, kwargs.values())):
            sweeper.sweep = ending_with_its_jobs(sweeper.sweep)
        return sweeper

    return instantiate


def ending_with_its_jobs(sweep: Callable) -> Callable:
    """Report a folder that the sweep cannot write, and at its end the jobs that have failed."""

    @functools.wraps(sweep)
    def run(*args, **kwargs):
        _failed.clear()
        try:
            returned = sweep(*args, **kwargs)
        except OSError as error:
            report_unwritable(error, "hydra.sweep.dir")
        if _failed:
            jobs, errors = ("jobs", "their errors stand") if len(_failed) > 1 else ("job", "its error stands")
            raise SystemExit(f"error: of this sweep, {jobs} {', '.join(map(str, _failed))} failed; {errors} above")
        return returned

    return run


def going_on(hydra_main: Callable) -> Callable:
    """Log the error that ends a job of a sweep, as fairseq logs a crash, and return: the next job follows."""

    @functools.wraps(hydra_main)
    def run(cfg: Any, **kwargs):
        try:
            with complete(cfg):
                return hydra_main(cfg, **kwargs)
        except SystemExit as end:
            number = job_number()
            if number is None or not is_ours(cfg) or not isinstance(end.code, str):
                raise
            logger.error("Crashed! %s", end)
            _failed.append(number)

    return run


@contextlib.contextmanager
def complete(cfg: Any) -> Iterator[None]:
    """Report in one line a field that is left open (``???``), or made of another field or a variable that is not there:
    fairseq resolves the whole configuration before it loads its user directory."""
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except OmegaConfBaseException as error:
        if not is_ours(cfg):
            raise
        raise SystemExit(f"error: {without_value(error)}") from None


def without_value(error: Exception) -> str:
    """Say which field has no value, and why, of what OmegaConf says in several lines."""
    reason = re.sub(r"^\w+ (raised )?while resolving interpolation: ", "", str(error).splitlines()[0]).strip('"')
    missing = re.fullmatch(r"Missing mandatory value: (?P<field>\S+)", reason)
    if missing:
        return f"{missing['field']} is left open (???): give it a value in the recipe or on the command line"
    reason = re.sub(r"^Interpolation key '(.*)' not found$", r"there is no field \1", reason)
    field = getattr(error, "full_key", None) or "the configuration"
    return f"{field} has no value: {reason}; mend it in the recipe or on the command line"


# As in plugin/working_folder.py, which this file must not import: see the top
def job_number() -> Optional[int]:
    """Return which job of a sweep this is, from 0; None outside a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    if not HydraConfig.initialized() or OmegaConf.is_missing(HydraConfig.get().job, "num"):
        return None
    return HydraConfig.get().job.num


def reporting(call_main: Callable) -> Callable:
    """Report in one line the errors of starting a run that :func:`explain_start` knows, and Ctrl-C."""

    @functools.wraps(call_main)
    def call(cfg: Any, main: Callable, **kwargs):
        from torch.multiprocessing import ProcessExitedException

        if not is_ours(cfg):
            return call_main(cfg, main, **kwargs)
        size = cfg.distributed_training.distributed_world_size
        if size < 1:  # fairseq would start no process, and end with status 0
            raise SystemExit(f"error: distributed_training.distributed_world_size must be at least 1; got {size}")
        sys.excepthook = functools.partial(report_interrupt, sys.excepthook)
        os.environ[REPORTED_BY_PARENT] = "1"
        try:
            return call_main(cfg, main, **kwargs)
        except ProcessExitedException as error:
            message = explain_end(error)
        except (AssertionError, FileNotFoundError, ImportError) as error:
            message = explain_start(cfg, error)
            if message is None:
                raise
        raise SystemExit(f"error: {message}")

    return call


def explain_start(cfg: Any, error: Exception) -> Optional[str]:
    """Return in one line what is wrong: more processes than GPUs, a user directory that is not there or is a second
    one; None of any other error."""
    user_dir = cfg.common.user_dir
    if isinstance(error, AssertionError) and str(error).startswith("world size is"):
        return (
            f"distributed_training.distributed_world_size={cfg.distributed_training.distributed_world_size} is "
            "more than the GPUs here: set it to their number, on a machine without GPU to 1 with common.cpu=true; "
            "or start the processes by torchrun"
        )
    if isinstance(error, FileNotFoundError) and error.args == (os.path.abspath(user_dir),):
        return (
            f"common.user_dir={user_dir} is no folder, neither here nor beside fairseq; where the "
            f"package is installed, common.user_dir={USER_DIR} names it from anywhere"
        )
    if isinstance(error, ImportError) and "not globally unique" in str(error):
        return (
            f"common.user_dir={user_dir} is a second copy of the package that was imported from "
            f"{os.path.dirname(sys.modules[USER_DIR].__file__)}; give that one"
        )
    return None


def explain_end(error: Any) -> str:
    """Return in one line how a spawned process has ended, by torch's ProcessExitedException."""
    if error.exit_code < 0:
        return f"process {error.error_index} was killed ({error.signal_name}), for want of memory for instance"
    return f"process {error.error_index} has ended with status {error.exit_code}; its message stands above"


def report_interrupt(pass_on: Callable, kind, error, trace) -> None:
    """Leave other errors to the hook before."""
    if issubclass(kind, KeyboardInterrupt):
        print(INTERRUPTED, file=sys.stderr)
    else:
        pass_on(kind, error, trace)


if "fairseq_cli.hydra_train" in sys.modules and os.environ.get(SWITCH) != "off":
    install()
