"""What a user of s3prl does with an exported directory, without fairseq. Run as a script:

    python s3prl_user.py DIR REFERENCE.npz

REFERENCE holds what fairseq computed: hidden_states.K.alone and hidden_states.K.padded, wave.* and mask.*.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

for name in ("fairseq", "hydra"):  # s3prl itself needs omegaconf
    sys.modules[name] = None
warnings.simplefilter("ignore")
cache = tempfile.mkdtemp()
os.environ.update(HF_HUB_OFFLINE="1", HF_MODULES_CACHE=cache, HF_HOME=cache, CUDA_VISIBLE_DEVICES="")

import numpy as np
import torch
import transformers

from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.integrations import s3prl as integration

with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    integration.register()
    from s3prl import hub
    from s3prl.nn import Featurizer, S3PRLUpstream
    from s3prl.upstream.interfaces import Featurizer as RunnerFeaturizer

transformers.logging.set_verbosity_error()
directory, reference = sys.argv[1], dict(np.load(sys.argv[2]))
settings = json.loads(Path(directory, "config.json").read_text())
layers = settings["num_hidden_layers"] + 1
ours = settings["model_type"] == "summarymixing"
waveform_group_norm = settings["feat_extract_norm"] == "group" and settings.get("frontend", "waveform") == "waveform"


def load():
    return S3PRLUpstream(integration.NAME, path_or_url=directory).eval()


def case(name):
    """Waves without their padding, and hidden states (layers, B, T, D) with the frames that are real (B, T)."""
    waves = torch.from_numpy(reference[f"wave.{name}"])
    expected = torch.stack([torch.from_numpy(reference[f"hidden_states.{k}.{name}"]) for k in range(layers)])
    if f"mask.{name}" not in reference:
        return list(waves), expected, torch.ones(expected.shape[1:3], dtype=torch.bool)
    lengths = reference[f"mask.{name}"].sum(1)
    return [wave[:length] for wave, length in zip(waves, lengths)], expected, torch.from_numpy(reference["real.padded"])


def same_numbers():
    upstream = load().upstream
    for name in ("alone", "padded"):
        if name == "padded" and not upstream.masked:
            continue  # such a model gets no padding mask, in transformers either
        waves, expected, real = case(name)
        with torch.no_grad():
            output = upstream(waves)
        for k, found in enumerate(output["hidden_states"]):
            if k == layers - 1 and not ours:
                continue  # transformers 4 gives it after the final norm, 5 before
            difference = (expected[k] - found)[real].abs().max() / expected[k].abs().max().clamp(min=1)
            assert difference < 1e-5, (name, k, difference)
        assert not ours or torch.equal(output["last_hidden_state"], output["hidden_states"][-1])


def lengths_and_layers():
    upstream = load()
    assert upstream.num_layers == layers and upstream.hidden_sizes == [settings["hidden_size"]] * layers
    assert upstream.downsample_rates == [320] * layers
    wave, lengths = torch.randn(2, 32000), torch.tensor([16000, 32000])
    with torch.no_grad():
        states, state_lengths = upstream(wave, lengths)
    assert all(state.shape == (2, 100, settings["hidden_size"]) for state in states)
    assert all(lengths.tolist() == [50, 100] for lengths in state_lengths)
    upstream(torch.randn(1, 200), torch.tensor([200]))  # less than a frame


def batched_is_alone():
    upstream = load().upstream
    if waveform_group_norm or not upstream.masked:
        return  # group norm averages over padding
    waves = [torch.randn(16000), torch.randn(32000), torch.randn(9000)]
    with torch.no_grad():
        together = upstream(waves)["hidden_states"]
        for index, wave in enumerate(waves):
            for batch, alone in zip(together, upstream([wave])["hidden_states"]):
                difference = (batch[index, : alone.shape[1]] - alone[0]).abs().max() / alone.abs().max().clamp(min=1)
                assert difference < 1e-5, difference


def featurizers():
    upstream = load()
    mean = Featurizer(upstream)
    features, lengths = mean(*upstream(torch.randn(2, 32000), torch.tensor([16000, 32000])))
    assert features.shape == (2, 100, settings["hidden_size"]) and lengths.tolist() == [50, 100]
    features.sum().backward()
    assert mean.weights.grad.isfinite().all()
    with contextlib.redirect_stderr(io.StringIO()):
        runner = RunnerFeaturizer(upstream.upstream, upstream_device="cpu")
        last = RunnerFeaturizer(upstream.upstream, "last_hidden_state", upstream_device="cpu")
    waves = [torch.randn(16000), torch.randn(32000)]
    for featurizer in (runner, last):
        found = featurizer(waves, upstream.upstream(waves))
        assert [len(state) for state in found] in ([50, 99], [50, 100]) and featurizer.downsample_rate == 320
    assert runner.output_dim == settings["hidden_size"] and runner.layer_num == layers


def trains():
    upstream = load().train()
    for _ in range(8):
        states, _ = upstream(torch.randn(2, 16000), torch.tensor([16000, 12000]))
        assert len(states) == layers
    sum(state.sum() for state in states).backward()
    assert all(parameter.grad.isfinite().all() for parameter in upstream.parameters() if parameter.grad is not None)


def half_precision_and_mistakes():
    upstream = load().upstream.to(torch.bfloat16)
    assert upstream([torch.randn(16000, dtype=torch.bfloat16)])["hidden_states"][0].dtype == torch.bfloat16
    try:
        getattr(hub, integration.NAME)(ckpt=cache)
    except UserError as error:
        assert "config.json" in str(error)
    else:
        raise AssertionError("an empty directory was read")


def runner():
    """run_downstream, on a downstream task of s3prl that makes its own data."""
    import yaml
    from s3prl.downstream.example import dataset

    dataset.EXAMPLE_DATASET_SIZE, dataset.EXAMPLE_WAV_MIN_SEC, dataset.EXAMPLE_WAV_MAX_SEC = 4, 1, 3
    config = {
        "runner": {
            "total_steps": 2,
            "gradient_clipping": 1,
            "gradient_accumulate_steps": 1,
            "log_step": 1,
            "eval_step": 1,
            "save_step": 1,
            "max_keep": 1,
            "eval_dataloaders": ["dev"],
        },
        "optimizer": {"name": "TorchOptim", "torch_optim_name": "Adam", "lr": 1e-3},
        "downstream_expert": {
            "datarc": {"train_batch_size": 2, "eval_batch_size": 2, "num_workers": 0},
            "modelrc": {"input_dim": 8},
        },
    }
    folder = Path(tempfile.mkdtemp())
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    experiment = str(folder / "experiment")
    train = ["-m", "train", "-u", integration.NAME, "-k", directory, "-d", "example", "-c", str(folder / "config.yaml")]
    for arguments in ([*train, "-p", experiment], ["-m", "evaluate", "-t", "dev", "-e", experiment]):
        sys.argv = ["run_downstream.py", *arguments, "--device", "cpu"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            integration.main()
    assert list(Path(experiment).glob("states-*.ckpt"))


steps = [same_numbers, lengths_and_layers, batched_is_alone, featurizers, trains, half_precision_and_mistakes]
try:
    import tensorboardX  # noqa: F401
except ImportError:
    pass
else:
    steps.append(runner)
shown = []
for step in steps:
    torch.manual_seed(0)
    step()
    shown.append(step.__name__)
print(json.dumps({"transformers": transformers.__version__, "did": shown}))
