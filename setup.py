from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1]
    for line in (HERE / "fairseq_summarymixing" / "__init__.py").read_text(encoding="utf-8").splitlines()
    if line.startswith("__version__")
)

EXTRAS = {
    "demo": ["espeakng-loader>=0.2.4", "scipy"],
    "report": ["matplotlib>=3.5"],
    "hf": ["transformers>=4.57,<6", "safetensors"],
    "onnx": ["onnx", "onnxscript", "onnxruntime"],
    "lm": ["flashlight-text"],
    "dev": [
        "pytest>=7",
        "pytest-xdist>=3.6",
        "ruff",
        "librosa>=0.10; python_version >= '3.11'",
        "peft; python_version >= '3.11'",
    ],
}

setup(
    name="fairseq-summarymixing",
    version=VERSION,
    description="wav2vec 2.0 with SummaryMixing, linear in the length of the audio, as a fairseq plugin",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=[*find_packages(include=["fairseq_summarymixing", "fairseq_summarymixing.*"]), "hydra_plugins"],
    package_dir={"hydra_plugins": "fairseq_summarymixing/plugin/hydra_plugins"},  # the namespace that hydra imports
    package_data={
        "fairseq_summarymixing.bench": ["counts.json"],
        "fairseq_summarymixing.compare": ["healthy_runs/*.jsonl"],
    },
    python_requires=">=3.9",
    install_requires=[
        'fairseq-fixed==0.12.3.1; python_version >= "3.11"',
        'fairseq==0.12.2; python_version < "3.11"',
        'numpy<1.24; python_version < "3.11"',  # fairseq 0.12.2 uses np.float and np.int
        # Up to the minor version in constraints.txt: a changed default of one of these has broken fairseq before.
        # make test-newest tries what is beyond.
        'torch>=2.0,<2.14; python_version >= "3.11"',
        'torch>=2.0,<2.6; python_version < "3.11"',
        "omegaconf>=2.0.6,<2.4",
        "hydra-core>=1.0.7,<1.4",
        "numpy<2.5",
        "soundfile",
        "editdistance",
        "tqdm",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["fairseq-summarymixing = fairseq_summarymixing.__main__:main"]},
)
