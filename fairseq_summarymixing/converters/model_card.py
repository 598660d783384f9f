"""The README of an exported directory."""

from __future__ import annotations

from .. import __version__
from .source import Source

CARD = """\
---
library_name: transformers
pipeline_tag: {task}
tags: [speech, wav2vec2{tags}]
---

# {title}

{parameters:.1f}M parameters. Input: 16 kHz mono waveforms{normalised}; output: {rate:g} frames a second of {width}
features. Converted from a fairseq checkpoint by fairseq_summarymixing {version}.

```python
from transformers import {auto}
model = {auto}.from_pretrained(DIRECTORY{flag})
```

| | |
|---|---|
{rows}

Whether the conversion is right was checked before these files were written, on random audio in fp32:

{figures}

`hidden_states` are the first layer's input and each layer's output, the last of them behind the encoder's final norm.
{notes}"""

LOOSE = """
Loaded by `Wav2Vec2Model` itself instead of `AutoModel`, the encoder's weights would be random, with no more than a
warning: use `AutoModel`.
"""
PADDING = """
An utterance's output depends on what shares its padded batch: the front end has a group norm over time.
"""


def model_card(source: Source, class_name: str, figures: str) -> str:
    """Markdown: sizes, the recipe and where it comes from."""
    fields, ours = source.fields, source.ours
    auto = {"Model": "AutoModel", "ForPreTraining": "AutoModelForPreTraining", "ForCTC": "AutoModelForCTC",
            }  # fmt: skip
    kind = class_name.replace("SummaryMixing", "").replace("Wav2Vec2", "")
    mixer = fields.get("mixer", "self_attention")
    rows = {
        "mixer": mixer,
        "layers": f"{fields['encoder_layers']} x {fields.get('encoder_layer', 'transformer')}, "
                  f"{fields['encoder_embed_dim']} wide, {fields['encoder_attention_heads']} heads",
        "feed-forward": fields["encoder_ffn_embed_dim"],
        "front end": f"{fields.get('frontend', 'waveform')}, convolutions {list(source.conv_layers)}",
        "updates": source.num_updates,
        "fairseq model": source.fields.get("_name") + (" in wav2vec_ctc" if source.is_ctc else ""),
        "input masked in training (`apply_spec_augment`)": "see config.json",
    }  # fmt: skip
    from .hf_config import frames_per_second, to_hf

    grouped = fields.get("frontend", "waveform") == "waveform" and str(fields["extractor_mode"]) == "default"
    return CARD.format(
        task="automatic-speech-recognition" if source.is_ctc else "feature-extraction",
        tags=", summarymixing" if ours else "",
        title=class_name,
        parameters=sum(one.numel() for one in source.model.parameters()) / 1e6,
        normalised=" of mean 0 and variance 1 (the preprocessor sees to it)" if source.normalize else "",
        rate=frames_per_second(to_hf(fields, source.conv_layers, ours)),
        width=fields["encoder_embed_dim"],
        version=__version__,
        auto=auto[kind],
        flag=", trust_remote_code=True" if ours else "",
        rows="\n".join(f"| {name} | {value} |" for name, value in rows.items()),
        figures="\n".join(f"    {line}" for line in figures.splitlines()),
        notes=(LOOSE if ours else "") + (PADDING if grouped else ""),
    )
