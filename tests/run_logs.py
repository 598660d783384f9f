"""Logs and results of training runs, as fairseq and `decode` write them."""

import json

HEAD = "[2026-01-01 10:00:00,000]"


def inner(update, loss=6.0, **more):
    """A line of hydra's log, as fairseq writes it every log_interval updates."""
    values = {"loss": loss, "accuracy": 0.1, "code_perplexity": 12.0, "ups": 2.0, "wps": 200.0, "wpb": 100.0}
    values = {**values, "num_updates": update, "wall": 10, **more}
    record = {
        "epoch": 1,
        "update": 0.5,
        **{key: str(value) for key, value in values.items() if value is not None},
    }
    return f"{HEAD}[train_inner][INFO] - {json.dumps(record)}\n"


def valid(update, loss=5.0, subset="valid", **more):
    values = {"loss": loss, "accuracy": 0.2, "code_perplexity": 15.0, "num_updates": update, **more}
    record = {
        "epoch": 1,
        **{f"{subset}_{key}": str(value) for key, value in values.items() if value is not None},
    }
    return f"{HEAD}[{subset}][INFO] - {json.dumps(record)}\n"


def heading(model="wav2vec2", mixer=None):
    fields = f"'num_negatives': 9{f', {chr(39)}mixer{chr(39)}: {mixer}' if mixer else ''}"
    return (
        f"{HEAD}[fairseq_cli.train][INFO] - {{'_name': None, 'model': {{'_name': '{model}', "
        f"'extractor_mode': layer_norm, {fields}}}, 'task': {{}}}}\n"
        f"{HEAD}[fairseq_cli.train][INFO] - num. shared model params: 95,044,608 (num. trained: 95,044,608)\n"
    )


def write_decode(folder, wer=12.5, interval=(11.0, 14.0), split="test", name="checkpoint_best-test"):
    out = folder / "checkpoints" / "decode" / name
    out.mkdir(parents=True)
    (out / "result.json").write_text(json.dumps({"wer": wer, "wer_ci": interval, "split": split}))


def finetuning(write, name="fine"):
    lines = [
        inner(update, 50.0 - update / 10, accuracy=None, code_perplexity=None, nll_loss=2.0) for update in (10, 20)
    ]
    last = valid(20, 40.0, accuracy=None, code_perplexity=None, wer=33.3, uer=10.0)
    folder = write(name, heading("wav2vec_ctc"), *lines, last)
    write_decode(folder)
    return folder
