"""Write the README of an exported directory."""

from __future__ import annotations

from typing import Any

from .. import __version__
from ..checkpoints.names import CTC_MODEL
from ..downstream.encoder import front_end_of
from ..modules.log_mel import SAMPLE_RATE
from .export_source import ExportSource

CARD = """\
---
library_name: transformers
pipeline_tag: {task}
tags: [speech, wav2vec2{tags}]
---

# {title}

{parameters} parameters. Input: 16 kHz mono waveforms{normalised}; output: {rate:g} frames a second of {output}.
Converted from a fairseq checkpoint by fairseq_summarymixing {version}.

```python
{usage}
```

| | |
|---|---|
{rows}

Whether the conversion is right was checked before these files were written, on random audio in fp32:

{figures}

`hidden_states` are the first layer's input and each layer's output, the last of them after the encoder's final norm.
{notes}"""

MODEL = """\
from transformers import AutoFeatureExtractor, {auto}
features = AutoFeatureExtractor.from_pretrained(DIRECTORY{flag})
model = {auto}.from_pretrained(DIRECTORY{flag})"""
PIPELINE = """\
from transformers import AutoModelForCTC, AutoProcessor, pipeline
recognise = pipeline("automatic-speech-recognition", model=DIRECTORY{flag})
processor = AutoProcessor.from_pretrained(DIRECTORY{flag})  # or the two apart
model = AutoModelForCTC.from_pretrained(DIRECTORY{flag})"""

LOOSE = """
Loaded by `Wav2Vec2Model` itself instead of `AutoModel`, the encoder's weights would be random, with no more than a
warning: use `AutoModel`.
"""
PADDING = """
An utterance's output depends on what shares its padded batch: the front end has a group norm over time.
"""
UNTIMED = """
The tokenizer's symbols are no letters: pipelines give times of symbols (`return_timestamps="char"`), not of words.
"""


def model_card(source: ExportSource, config: dict[str, Any], auto: str, figures: str) -> str:
    """Return Markdown: sizes, the recipe, the model's origin, and how far its outputs lie from fairseq's.

    Args:
        config: ``config.json``.
        auto: name of the Auto class that loads all of it.
        figures: lines of :func:`~.parity.summary`.
    """
    fields, ours, title = source.fields, source.ours, config["architectures"][0]
    layer, frontend = fields.get("encoder_layer", "transformer"), fields.get("frontend", "waveform")
    sizes = f"{fields['encoder_embed_dim']} wide, {fields['encoder_attention_heads']} heads"
    masked = config.get("apply_spec_augment", True)
    rows = {
        "mixer": fields.get("mixer", "self_attention"),
        "layers": f"{fields['encoder_layers']} x {layer}, {sizes}, feed-forward {fields['encoder_ffn_embed_dim']}",
        "front end": f"{frontend}, convolutions (channels, kernel size, stride) {list(source.conv_layers)}",
        "fairseq model": fields["_name"] + (f" in {CTC_MODEL}" if source.is_ctc else ""),
        "updates": source.checkpoint.num_updates,
        "input masked in training mode": f"{'yes' if masked else 'no'} (`apply_spec_augment`)",
    }
    grouped = frontend == "waveform" and str(fields["extractor_mode"]) == "default"
    untimed = source.is_ctc and source.checkpoint.post_process != "letter"
    parameters = sum(parameter.numel() for parameter in source.model.parameters())
    return CARD.format(
        task="automatic-speech-recognition" if source.is_ctc else "feature-extraction",
        tags=", summarymixing" if ours else "",
        title=title,
        parameters=f"{parameters / 1e6:.1f}M" if parameters > 1e5 else f"{parameters:,}",
        normalised=" of mean 0 and variance 1 (the preprocessor sees to it)" if source.checkpoint.normalize else "",
        rate=SAMPLE_RATE / front_end_of(source.encoder).hop,
        output=f"{len(source.symbols)} CTC logits" if source.is_ctc else f"{fields['encoder_embed_dim']} features",
        version=__version__,
        usage=(PIPELINE if source.is_ctc else MODEL).format(
            auto=auto,
            flag=", trust_remote_code=True" if ours else "",
        ),
        rows="\n".join(f"| {name} | {value} |" for name, value in rows.items()),
        figures="\n".join(f"    {line}" for line in figures.splitlines()),
        notes=(LOOSE if ours else "") + (PADDING if grouped else "") + (UNTIMED if untimed else ""),
    )
