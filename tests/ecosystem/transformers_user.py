"""What a user of transformers does with an exported directory, without fairseq and this package. Run as a script:

    python transformers_user.py DIR REFERENCE.npz

REFERENCE holds what fairseq computed: NAME.alone and NAME.padded for hidden_states.K and logits, wave.* and mask.*.
"""

import json
import os
import sys
import tempfile
import warnings
from pathlib import Path

for name in ("fairseq", "fairseq_summarymixing", "omegaconf", "hydra"):
    sys.modules[name] = None
warnings.simplefilter("ignore")
cache = tempfile.mkdtemp()
os.environ.update(HF_HUB_OFFLINE="1", HF_MODULES_CACHE=cache, HF_HOME=cache, CUDA_VISIBLE_DEVICES="")

try:
    import torchaudio  # noqa: F401
except (ImportError, OSError):  # OSError: built for CUDA, beside a CPU's torch
    sys.modules["torchaudio"] = None

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForCTC,
    AutoModelForPreTraining,
    AutoProcessor,
    AutoTokenizer,
    pipeline,
)

transformers.logging.set_verbosity_error()
directory, reference = sys.argv[1], dict(np.load(sys.argv[2]))
settings = json.loads(Path(directory, "config.json").read_text())
is_ctc = os.path.exists(os.path.join(directory, "vocab.json"))
trust = {"trust_remote_code": True} if "auto_map" in settings else {}
shown = []


def load(auto, **options):
    return auto.from_pretrained(directory, **trust, **options)


def same_numbers():
    for auto in (AutoModel, AutoModelForCTC if is_ctc else AutoModelForPreTraining):
        model = load(auto).eval()
        for case in ("alone", "padded"):
            wave = torch.from_numpy(reference[f"wave.{case}"])
            mask = torch.from_numpy(reference[f"mask.{case}"]) if f"mask.{case}" in reference else None
            with torch.no_grad():
                output = model(wave, attention_mask=mask, output_hidden_states=True)
            names = [
                name[: -len(case) - 1]
                for name in reference
                if name.endswith(case) and not name.startswith(("wave", "mask"))
            ]
            assert (
                len(output.hidden_states)
                == sum(name.startswith("hidden") for name in names)
                == settings["num_hidden_layers"] + 1
            )
            for name in names:
                if name == f"hidden_states.{settings['num_hidden_layers']}" and not trust:
                    continue  # of their own classes, transformers 4 gives it after the final norm, 5 before
                if name.startswith("hidden"):
                    found = output.hidden_states[int(name.split(".")[1])]
                elif name in output:
                    found = output[name]
                else:
                    continue
                expected = torch.from_numpy(reference[f"{name}.{case}"])
                frames = torch.from_numpy(reference[f"real.{case}"]) if f"real.{case}" in reference else None
                if frames is not None:
                    expected, found = expected[frames], found[frames]
                difference = ((expected - found).abs().max() / expected.abs().max().clamp(min=1)).item()
                assert difference < 1e-5, (name, case, difference)


def every_parameter_is_the_files():
    model = load(AutoModelForCTC if is_ctc else AutoModelForPreTraining)
    found = model.state_dict()
    for name, value in load_file(os.path.join(directory, "model.safetensors")).items():
        for old, new in (("weight_g", "original0"), ("weight_v", "original1")):
            if name.endswith(old) and name not in found:
                name = name.replace(old, f"parametrizations.weight.{new}")
        assert torch.equal(found[name], value), name


def every_layer_in_training():
    model = load(AutoModel).train()
    output = model(torch.randn(2, 16000), output_hidden_states=True)
    assert len(output.hidden_states) == settings["num_hidden_layers"] + 1
    assert not trust or torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert isinstance(model(torch.randn(1, 16000), return_dict=False), tuple)


def gradients(model, **inputs):
    model.zero_grad()
    model(**inputs).loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def heads_train():
    wave, mask = torch.randn(2, 16000), torch.ones(2, 16000, dtype=torch.long)
    mask[1, 9000:] = 0
    model = load(AutoModelForCTC, **({} if is_ctc else {"vocab_size": 9}))
    assert AutoConfig.from_pretrained(directory, **trust).model_type == settings["model_type"]
    model.eval()  # gradients of the same function twice
    inputs = dict(input_values=wave, attention_mask=mask, labels=torch.tensor([[5, 6, 7], [5, 6, -100]]))
    plain = gradients(model, **inputs)
    assert plain and all(gradient.isfinite().all() for gradient in plain.values())
    model.train()
    for module in model.modules():
        for name in ("p", "dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    model.config.apply_spec_augment = False
    plain = gradients(model, **inputs)
    model.gradient_checkpointing_enable()
    again = gradients(model, **inputs)
    assert plain.keys() == again.keys()
    if trust:  # their own attention keeps its dropout
        assert all(torch.allclose(plain[name], again[name], atol=1e-5, rtol=1e-4) for name in plain)
    classifier = load(AutoModelForAudioClassification, num_labels=3)
    assert gradients(classifier, input_values=wave, attention_mask=mask, labels=torch.tensor([0, 2]))
    classifier.freeze_feature_encoder()
    assert not any(
        parameter.requires_grad for name, parameter in classifier.named_parameters() if "feature_extractor" in name
    )


def pretraining_goes_on():
    model = load(AutoModelForPreTraining).train()
    frames = int(model._get_feat_extract_output_lengths(torch.tensor(16000)))
    masked = torch.zeros(2, frames, dtype=torch.bool)
    masked[:, 5:25] = True
    negatives = torch.randint(0, frames, (2, frames, 9))
    output = model(torch.randn(2, 16000), mask_time_indices=masked, sampled_negative_indices=negatives)
    output.loss.backward()
    assert output.loss.isfinite() and output.hidden_states is None


def half_precision():
    for dtype in (torch.bfloat16, torch.float16):
        model = load(AutoModel, torch_dtype=dtype) if transformers.__version__ < "5" else load(AutoModel, dtype=dtype)
        output = model.eval()(torch.randn(1, 16000).to(dtype)).last_hidden_state
        assert output.dtype == dtype and output.isfinite().all()


def saves_and_loads():
    model = load(AutoModel)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        again = AutoModel.from_pretrained(folder, **trust)
    wave = torch.randn(1, 16000)
    with torch.no_grad():
        assert torch.allclose(model.eval()(wave)[0], again.eval()(wave)[0], atol=1e-5)


def pipelines():
    sound = {"raw": np.random.default_rng(0).standard_normal(3 * 16000).astype(np.float32), "sampling_rate": 16000}
    classify = pipeline(
        "audio-classification",
        model=load(AutoModelForAudioClassification),
        feature_extractor=load(AutoFeatureExtractor),
    )
    assert classify(dict(sound))[0]["label"]
    if not is_ctc:
        return
    processor = load(AutoProcessor)
    assert load(AutoTokenizer).decode([4, 5, 5, 0, 5, 6]).strip() == "AAB"  # repeats merge, the blank separates
    recognise = pipeline("automatic-speech-recognition", model=directory, **trust)
    text = recognise(dict(sound))["text"]
    inputs = processor(sound["raw"], sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        ids = load(AutoModelForCTC).eval()(**inputs).logits.argmax(-1)
    assert text == processor.batch_decode(ids)[0]
    chunked = recognise(dict(sound), chunk_length_s=2, stride_length_s=0.5, return_timestamps="char")
    assert all(word["timestamp"][0] <= 3.1 for word in chunked["chunks"])
    recognise(dict(sound), return_timestamps="word")


def trainer():
    from transformers import Trainer, TrainingArguments

    model = load(AutoModelForAudioClassification, num_labels=2)
    data = [{"input_values": torch.randn(8000).numpy(), "label": index % 2} for index in range(4)]

    def collate(items):
        waves = torch.tensor(np.stack([item["input_values"] for item in items]))
        return {"input_values": waves, "labels": torch.tensor([item["label"] for item in items])}

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            max_steps=2,
            per_device_train_batch_size=2,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            gradient_checkpointing=True,
            remove_unused_columns=False,
        )
        before = model.classifier.weight.detach().clone()
        result = Trainer(model=model, args=arguments, train_dataset=data, data_collator=collate).train()
        assert result.global_step == 2 and not torch.equal(before, model.classifier.weight.cpu())


steps = [
    same_numbers,
    every_parameter_is_the_files,
    every_layer_in_training,
    heads_train,
    half_precision,
    saves_and_loads,
    pipelines,
]
if not is_ctc and "Model" not in settings["architectures"][0][-5:]:
    steps.append(pretraining_goes_on)
try:
    import accelerate  # noqa: F401
except ImportError:
    pass
else:
    steps.append(trainer)
for step in steps:
    torch.manual_seed(0)
    step()
    shown.append(step.__name__)
print(json.dumps({"transformers": transformers.__version__, "did": shown}))
