"""Untrained tiny checkpoints of any kind, as fairseq would have saved them."""

import importlib

import tiny
import torch

LETTERS = "|ABCDE"
PRETRAINING = {**tiny.MODEL, "quantize_targets": True, "latent_dim": 12}
LOG_MEL = {"frontend": "log_mel", "mel_conv_layers": "[(16, 3, 2), (24, 3, 1)]"}
KINDS = {
    "summary_mixing": ("wav2vec2_summarymixing", {"extractor_mode": "layer_norm"}),
    "summary_mixing-group_norm": ("wav2vec2_summarymixing", {}),
    "lite": ("wav2vec2_summarymixing", {"mixer": "summary_mixing_lite", "extractor_mode": "layer_norm"}),
    "paper": (
        "wav2vec2_summarymixing",
        {
            **LOG_MEL,
            "encoder_layer": "conformer",
            "positions": "sinusoidal",
            "layer_norm_first": True,
            "activation_fn": "swish",
            "summary_hidden_dim": 64,
        },
    ),
    "same_width": ("wav2vec2_summarymixing", {"encoder_embed_dim": 24, "summary_branch_norm": False}),
    "twin": (
        "wav2vec2_summarymixing",
        {"mixer": "self_attention", "extractor_mode": "layer_norm", "conv_bias": True, "layer_norm_first": True},
    ),
    "paper_twin": (
        "wav2vec2_summarymixing",
        {
            **LOG_MEL,
            "mixer": "self_attention",
            "encoder_layer": "conformer",
            "positions": "sinusoidal",
            "layer_norm_first": True,
        },
    ),
    "hyper_mixing": ("wav2vec2_summarymixing", {"mixer": "hyper_mixing", "extractor_mode": "layer_norm"}),
    "fastformer": ("wav2vec2_summarymixing", {"mixer": "fastformer", "extractor_mode": "layer_norm"}),
    "stock": ("wav2vec2", {"extractor_mode": "layer_norm", "layer_norm_first": True, "conv_bias": True}),
    "stock-group_norm": ("wav2vec2", {}),
    "stock-same_width": ("wav2vec2", {"encoder_embed_dim": 24}),
}


def pretrained(path, kind, normalize=False, **fields):
    """A pre-trained checkpoint of one of KINDS with random weights, none of them 0 or 1. Returns the path."""
    from fairseq.models import MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY
    from omegaconf import OmegaConf

    importlib.import_module("fairseq_summarymixing.models")
    name, given = KINDS[kind]
    waveform = ("conv_feature_layers", "conv_pos", "conv_pos_groups")
    base = {key: value for key, value in PRETRAINING.items() if "frontend" not in given or key not in waveform}
    config = OmegaConf.merge(MODEL_DATACLASS_REGISTRY[name], {**base, **given, **fields})
    torch.manual_seed(1)
    model = MODEL_REGISTRY[name].build_model(config)
    randomise(model)
    task = "wav2vec2_summarymixing" if name != "wav2vec2" else "audio_pretraining"
    save(path, model, plain(config, name), {"_name": task, "data": "/somewhere", "normalize": normalize})
    return path


def ctc(path, pretrained_path, symbols=LETTERS, post_process=None):
    """A wav2vec_ctc checkpoint over that one, with a random head. Returns the path."""
    from types import SimpleNamespace

    from fairseq.data import Dictionary
    from fairseq.models.wav2vec.wav2vec2_asr import Wav2Vec2CtcConfig, Wav2VecCtc
    from omegaconf import OmegaConf

    importlib.import_module("fairseq_summarymixing.tasks")  # registers the task of the model inside
    inner = torch.load(pretrained_path, weights_only=False)["cfg"]
    dictionary = Dictionary()
    for symbol in symbols:
        dictionary.add_symbol(symbol)
    given = {
        "w2v_path": "/somewhere",
        "data": "/somewhere",
        "normalize": inner["task"]["normalize"],
        "w2v_args": inner,
        "mask_channel_length": 4,
        "ddp_backend": "legacy_ddp",
    }
    config = OmegaConf.merge(OmegaConf.structured(Wav2Vec2CtcConfig), given)
    for name in list(config):
        if OmegaConf.is_interpolation(config, name):
            config[name] = None
    task = SimpleNamespace(target_dictionary=dictionary)
    model = Wav2VecCtc.build_model(config, task)
    randomise(model)
    fields = {
        "_name": "audio_finetuning",
        "data": "/somewhere",
        "normalize": given["normalize"],
        "labels": "ltr",
        "tpu": False,
    }
    criterion = post_process and {"_name": "ctc", "post_process": post_process}
    save(path, model, plain(config, "wav2vec_ctc"), fields, {"target_dictionary": dictionary}, criterion)
    return path


def randomise(model):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def plain(config, name):
    from omegaconf import OmegaConf

    return {**OmegaConf.to_container(config, resolve=True, enum_to_str=True), "_name": name}


def save(path, model, fields, task, task_state=None, criterion=None):
    state = {
        "args": None,
        "cfg": {"model": fields, "task": task, "criterion": criterion, "lr_scheduler": None, "common": {}},
        "model": model.state_dict(),
        "criterion": None,
        "task_state": task_state or {},
        "optimizer_history": [{"optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 5}],
        "extra_state": {"train_iterator": {"epoch": 1}},
        "last_optimizer_state": None,
    }
    torch.save(state, path)
