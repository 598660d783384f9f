"""Tiny models, corpora and training runs that the tests share."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

MODEL = dict(
    conv_feature_layers="[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(24, 2, 2)] * 2",
    encoder_layers=2,
    encoder_embed_dim=32,
    encoder_ffn_embed_dim=48,
    encoder_attention_heads=4,
    conv_pos=16,
    conv_pos_groups=4,
    final_dim=12,
    latent_vars=6,
    num_negatives=9,
)


def write_wave(path, samples, rate=16000):
    import soundfile

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), samples, rate)


def tone(seconds, rate=16000, seed=0):
    """A chord in noise: (samples,) in [-1, 1]."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in random.uniform(100, 3000, size=3))
    return 0.2 * chord + 0.02 * random.standard_normal(len(time))


def write_corpus(folder, clips=8, splits=("train", "valid"), seconds=(0.6, 1.4)):
    """``clips`` recordings per split, with .tsv, .ltr and dict.ltr.txt. Returns the folder."""
    folder = Path(folder)
    random = np.random.default_rng(7)
    for number, split in enumerate(splits):
        rows, texts = [str(folder)], []
        for clip in range(clips):
            samples = tone(random.uniform(*seconds), seed=1000 * number + clip)
            name = f"audio/{split}-{clip}.wav"
            write_wave(folder / name, samples)
            rows.append(f"{name}\t{len(samples)}")
            texts.append("A B |" if clip % 2 else "B A A |")
        (folder / f"{split}.tsv").write_text("\n".join(rows) + "\n")
        (folder / f"{split}.ltr").write_text("\n".join(texts) + "\n")
    (folder / "dict.ltr.txt").write_text("A 9\n| 8\nB 7\n")
    return folder


# Any recipe, on a CPU, one update
ONE_UPDATE = {
    "common.fp16": False,
    "common.cpu": True,
    "common.log_interval": 1,
    "checkpoint.save_interval_updates": 0,
    "distributed_training.distributed_world_size": 1,
    "dataset.num_workers": 0,
    "dataset.max_tokens": 64000,
    "dataset.required_batch_size_multiple": 1,
    "optimization.max_update": 1,
    "optimization.update_freq": [1],
}
# Any pre-training recipe, with a model small enough for that
TINY_PRETRAINING = {
    **ONE_UPDATE,
    **{f"model.{name}": value for name, value in MODEL.items()},
    "dataset.batch_size": None,
    "lr_scheduler.warmup_updates": 1,
    "task.min_sample_size": 4000,
}
# ... and with a log-mel front end and sinusoidal positions
WAVEFORM_ALONE = ("model.conv_feature_layers", "model.conv_pos", "model.conv_pos_groups")
TINY_LOG_MEL = {
    **{name: value for name, value in TINY_PRETRAINING.items() if name not in WAVEFORM_ALONE},
    "model.mel_conv_layers": "[(16, 3, 2), (24, 3, 1)]",
}
TINY_FINETUNING = {
    **ONE_UPDATE,
    "optimization.max_update": 2,  # the three stages of the rate must not all round to nothing
    "model.mask_channel_length": 4,
    "dataset.validate_after_updates": 0,
    "dataset.validate_interval": 1,
}


def dotted(fields):
    """Fields by their dotted names, where keyword arguments have __ for the dot."""
    return {name.replace("__", "."): value for name, value in fields.items()}


def paths(corpus, folder):
    return {"task.data": str(corpus), "checkpoint.save_dir": str(folder)}


def pretraining(corpus, folder, **more):
    """Settings of a tiny pre-training; ``more``: further fields, __ for the dot."""
    return {**TINY_PRETRAINING, **paths(corpus, folder), **dotted(more)}


def resumable(corpus, folder, **more):
    """As :func:`pretraining`: learning rates do not depend on ``max_update``, and checkpoint_last.pt alone is saved."""
    fields = dict(
        lr_scheduler__total_num_update=100,
        dataset__batch_size=2,
        dataset__disable_validation=True,
        checkpoint__no_epoch_checkpoints=True,
    )
    return pretraining(corpus, folder, **{**fields, **more})


def finetuning(corpus, folder, pretrained, **more):
    """Settings of a tiny fine-tuning of the checkpoint ``pretrained``; ``more``: as :func:`pretraining`."""
    return {**TINY_FINETUNING, **paths(corpus, folder), "model.w2v_path": str(pretrained), **dotted(more)}


def last_checkpoint(folder):
    import torch

    return torch.load(folder / "checkpoint_last.pt", weights_only=False)


def assert_same_weights(found, expected, **tolerance):
    """Of two checkpoints, after as many updates."""
    import torch

    assert found["optimizer_history"][-1]["num_updates"] == expected["optimizer_history"][-1]["num_updates"]
    assert found["model"].keys() == expected["model"].keys()
    for name, weight in expected["model"].items():
        torch.testing.assert_close(
            found["model"][name], weight, msg=lambda text, name=name: f"{name}: {text}", **tolerance
        )


def command(folder, name, settings):
    """The command line that README gives. Fields of the groups below that the recipe does not
    name need hydra's +: fairseq merges their defaults later."""
    import yaml

    recipe = yaml.safe_load((EXAMPLES / folder / f"{name}.yaml").read_text())

    def named(key):
        group, field = key.split(".")
        return group not in ("task", "model", "criterion", "optimizer", "lr_scheduler") or field in recipe[group]

    def shown(value):
        if isinstance(value, str) and set(value) & set("[](), "):
            return f"'{value}'"
        return "null" if value is None else str(value).lower() if isinstance(value, bool) else value

    overrides = [f"{'' if named(key) else '+'}{key}={shown(value)}" for key, value in settings.items()]
    return [
        str(Path(sys.executable).parent / "fairseq-hydra-train"),
        "--config-dir",
        str(EXAMPLES / folder),
        "--config-name",
        name,
        *overrides,
    ]


def accept_ctrl_c():
    """For ``preexec_fn``: a shell's background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder, name, settings, cwd=ROOT):
    """Start the trainer as a user would, output and errors joined."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        command(folder, name, settings),
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=accept_ctrl_c,
    )


def run(folder, name, settings, cwd=ROOT):
    """Run the trainer to its end. Returns its exit status and its output."""
    process = start(folder, name, settings, cwd)
    try:
        output, _ = process.communicate(timeout=240)
    finally:
        process.kill()
    return process.returncode, output


def compose(folder, name, settings):
    """The configuration of a recipe with ``settings`` (dotted names), as fairseq-hydra-train would see it."""
    return complete(read_recipe(folder, name), settings)


def read_recipe(folder, name):
    """The configuration of a recipe before fairseq adds its defaults."""
    from fairseq.dataclass.initialize import hydra_init
    from hydra.core.global_hydra import GlobalHydra

    import fairseq_summarymixing.models
    import fairseq_summarymixing.tasks  # noqa: F401
    from fairseq_summarymixing import plugin

    plugin.install()

    try:
        from hydra import compose as hydra_compose
        from hydra import initialize_config_dir
    except ImportError:  # hydra 1.0
        from hydra.experimental import compose as hydra_compose
        from hydra.experimental import initialize_config_dir

    GlobalHydra.instance().clear()
    hydra_init(name)
    with initialize_config_dir(config_dir=str(EXAMPLES / folder)):
        return hydra_compose(config_name=name)


def complete(cfg, settings):
    """Set fields (dotted names), and let fairseq add its defaults, in place; returns the configuration."""
    from fairseq.dataclass.initialize import add_defaults
    from fairseq.dataclass.utils import omegaconf_no_object_check
    from omegaconf import OmegaConf, open_dict

    with open_dict(cfg):
        for key, value in settings.items():
            OmegaConf.update(cfg, key, value, merge=False)
    add_defaults(cfg)
    with omegaconf_no_object_check():
        cfg = OmegaConf.create(OmegaConf.to_container(cfg, resolve=True, enum_to_str=True))
    OmegaConf.set_struct(cfg, True)
    return cfg


def train(folder, name, settings):
    """Train in this process."""
    from fairseq_cli.train import main

    main(compose(folder, name, settings))
