"""The files that messages.txt names in the section on the benchmark MP3S: corpora, encoders, a checkout of the
benchmark, results, and what stands for another environment's Python."""

import json

from fairseq_summarymixing import __version__
from fairseq_summarymixing.downstream.mp3s.recipes import RECIPES

CORPORA = {
    "mp3s": {"slurp": "slurp", "buckeye": "buckeye", "iemocap": "../nosuch"},
    "hollow": dict.fromkeys(["librispeech", "commonvoice_cy", "slurp", "voxceleb1", "iemocap"], "hollow"),
    "moved": {"commonvoice_cy": "hollow", "slurp": "hollow", "voxceleb1": "hollow/wav/"},
    "odd": {"commonvoice_cy": "odd", "slurp": "odd"},
}
SLURP_ROW = '{"recordings": [{"file": "a.flac"}]}\n'
RUN = "runs/SLURP-linear/good/seed-1986"
TEXTS = {
    "corpora/slurp/slurp_synth/a.flac": "",
    "corpora/slurp/train_synthetic.jsonl": "",
    **{f"corpora/slurp/{split}.jsonl": SLURP_ROW for split in ("train", "devel", "test")},
    "corpora/buckeye/s0101a.wav": "",
    "corpora/odd/slurp_synth/a.flac": "",
    "corpora/odd/train_synthetic.jsonl": "",
    "corpora/odd/train.jsonl": "{}\n",
    "corpora/odd/train.tsv": "path\tsentence\n",
    "encoders/good/config.json": '{"hidden_size": 8, "num_hidden_layers": 2}',
    "encoders/good/preprocessor_config.json": '{"do_normalize": true}',
    "encoders/odd/config.json": '{"hidden_size": 8}',
    "checkout-cut/benchmarks/MP3S/LibriSpeech/README": "",
    "results/foreign/encoders/ctc/config.json": "{}",
    f"results/changed/{RUN}/settings.json": '{"epochs": 3}',
    f"results/damaged/{RUN}/result.json": "{",
    f"results/unset/{RUN}/result.json": "{}",
    f"results/silent/{RUN}/train_log.txt": "epoch 1\n",
    f"results/diverged/{RUN}/train_log.txt": "test error_rate: nan\n",
    f"results/weightless/{RUN}/train_log.txt": "test error_rate: 0.5\n",
    "results/cut/corpora/buckeye/source.txt": "/elsewhere\n",
}
# What runs a recipe: its first argument is -c where it is asked for its versions
PYTHONS = {
    "lacking": "echo \"ModuleNotFoundError: No module named 'speechbrain'\" >&2; exit 1",
    "older": """echo '{"fairseq_summarymixing": "0.0"}'""",
    **{
        name: f"""[ $1 = -c ] && exec echo '{{"fairseq_summarymixing": "{__version__}"}}'; echo {said}; exit {status}"""
        for name, said, status in (("ending", "done", 0), ("failing", "RuntimeError: no such tensor", 1))
    },
}


def write_mp3s_files(folder, write):
    for name, content in TEXTS.items():
        write(folder / name, content)
    for name, content in CORPORA.items():
        write(folder / f"corpora/{name}.yaml", json.dumps(content))
    (folder / "corpora/hollow/wav").mkdir(parents=True)
    for recipe in RECIPES.values():
        write(folder / f"checkout/benchmarks/MP3S/{recipe.folder}/hparams/ssl.yaml", "")
    for name, script in PYTHONS.items():
        write(folder / f"python/{name}", f"#!/bin/sh\n{script}\n")
        (folder / f"python/{name}").chmod(0o755)
