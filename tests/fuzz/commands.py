"""The commands that read an input, each as a list of arguments in a folder of ``inputs.py``."""

TOOL, TRAINER = ("fairseq-summarymixing",), ("fairseq-hydra-train", "--config-dir", ".", "--config-name")

MANIFEST = (*TOOL, "manifest", "folder", "data/audio", "out")
COPIES = (*MANIFEST, "--resample", "16000")
MERGE = (*TOOL, "manifest", "merge", "data=2", "data2", "out")
DECODE = (*TOOL, "decode", "ctc.pt", "--data", "data", "--split", "valid", "--out", "out")
BEAM = (*DECODE, "--lm", "lm.arpa", "--lexicon", "lexicon.txt", "--beam", "20")
TRANSCRIBE = (*TOOL, "transcribe", "ctc.pt", "data/audio", "-o", "out")
FEATURES = (*TOOL, "features", "pretrained.pt", "data/audio", "-o", "out")
CODES = (*FEATURES, "--codes")
COMPARE = (*TOOL, "compare", "run", "run2", "--out", "out")
EXPORT = (*TOOL, "export", "hf", "ctc.pt", "out")
IMPORT = (*TOOL, "import", "hf", "hf", "out.pt")
PRETRAIN = (*TRAINER, "pretraining")
FINETUNE = (*TRAINER, "finetuning")
WARM_START = (*PRETRAIN, "+model.init_from=hf")

ALL_OR_NOTHING = (MERGE, DECODE, BEAM, COMPARE, EXPORT, IMPORT)
