"""Does an exported tokenizer give fairseq's texts, whatever the labels are?"""

import pytest

transformers = pytest.importorskip("transformers", reason="the hf extra is not installed")
pytest.importorskip("fairseq")

import checkpoint_files
import torch

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.converters import tokenizer as module
from fairseq_summarymixing.converters.export_hf import export_hf
from fairseq_summarymixing.errors import UserError

# post_process, the dictionary's symbols, and what a path of them says
LABELS = {
    "letter": (["|", "A", "B", "CH", "'"], ["A", "A", "<blank>", "A", "|", "CH", "'", "B", "|"], "AA CH'B"),
    "sentencepiece": (
        ["\u2581the", "\u2581", "cat", "s"],
        ["\u2581the", "\u2581", "cat", "cat", "s", "\u2581the"],
        "the cats the",
    ),
    "wordpiece": (["the_", "c", "at_"], ["the_", "c", "<blank>", "c", "at_", "the_"], "the ccat the"),
    "_EOW": (["the_EOW", "c", "_EOW"], ["the_EOW", "c", "_EOW", "c"], "the c c"),
    "none": (["|", "AH", "B", "sil"], ["sil", "AH", "AH", "<blank>", "AH", "|", "B"], "sil AH AH | B"),
    "silence": (["<SIL>", "AH", "B"], ["<SIL>", "AH", "B", "<SIL>", "<SIL>", "AH"], "AH B AH"),
}


@pytest.mark.parametrize("rule", LABELS)
def test_texts_are_the_same_there_and_back(rule, checkpoint, tmp_path, capsys):
    symbols, path, text = LABELS[rule]
    checkpoint_files.ctc(tmp_path / "ctc.pt", checkpoint("stock"), symbols, rule)
    assert main(["export", "hf", str(tmp_path / "ctc.pt"), str(tmp_path / "out")]) == 0
    assert (
        f"texts of greedy decoding: 25 of 25 the same, through the {len(symbols) + 2} classes that texts hold"
        in capsys.readouterr().out
    )
    ids = [0 if symbol == "<blank>" else 4 + symbols.index(symbol) for symbol in path]
    exported = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert " ".join(exported.decode(ids).split()) == text
    assert main(["import", "hf", str(tmp_path / "out"), str(tmp_path / "back.pt")]) == 0
    back = Checkpoint.read(tmp_path / "back.pt")
    assert back.symbols == Checkpoint.read(tmp_path / "ctc.pt").symbols and back.post_process == rule


def test_a_pipeline_says_what_transcribe_says(checkpoint, tmp_path):
    from fairseq_summarymixing.converters.export_source import read_export_source

    path = checkpoint_files.ctc(tmp_path / "ctc.pt", checkpoint("stock"), LABELS["sentencepiece"][0], "sentencepiece")
    export_hf(path, tmp_path / "out")
    source, wave = read_export_source(Checkpoint.read(path)), torch.randn(16000)
    with torch.no_grad():
        logits = source.model.w2v_encoder(source=wave[None], padding_mask=None)["encoder_out"][:, 0]
    recognise = transformers.pipeline("automatic-speech-recognition", model=str(tmp_path / "out"))
    found = recognise({"raw": wave.numpy(), "sampling_rate": 16000})["text"]
    assert " ".join(found.replace("</s>", "").replace("<s>", "<pad>").split()) == module.fairseq_text(source, logits)


def test_other_texts_leave_nothing(checkpoint, tmp_path, monkeypatch):
    checkpoint_files.ctc(tmp_path / "ctc.pt", checkpoint("stock"), LABELS["wordpiece"][0], "wordpiece")
    monkeypatch.setattr(
        module, "names_for_hf", lambda symbols, rule: [module.SPECIAL.get(name, name) for name in symbols]
    )
    with pytest.raises(
        UserError, match="gives the text .* where fairseq's greedy decoding gives .*nothing was written"
    ):
        export_hf(tmp_path / "ctc.pt", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["ctc.pt"]


@pytest.mark.parametrize(
    "symbols, rule, message",
    [
        (["th@@", "e"], "@@ ", "do not join symbols by criterion.post_process=@@ , only by letter, sentencepiece"),
        (["\u2581a", " a"], "sentencepiece", "several symbols of its dictionary would be ' a' in Hugging Face's"),
    ],
)
def test_labels_that_no_tokenizer_joins_are_refused(symbols, rule, message, checkpoint, tmp_path):
    checkpoint_files.ctc(tmp_path / "ctc.pt", checkpoint("stock"), symbols, rule)
    with pytest.raises(UserError, match=message):
        export_hf(tmp_path / "ctc.pt", tmp_path / "out")


def test_a_checkpoint_without_labels_or_dictionary_is_refused_by_name(checkpoint, tmp_path, capsys):
    state = torch.load(checkpoint("stock", ctc=True), weights_only=False)
    dictionary = state["task_state"].pop("target_dictionary")
    torch.save(state, tmp_path / "old.pt")
    assert main(["export", "hf", str(tmp_path / "old.pt"), str(tmp_path / "out")]) == 1
    assert "holds no dictionary: name as --data a folder that holds dict.ltr.txt" in capsys.readouterr().err
    (tmp_path / "data").mkdir()
    dictionary.save(str(tmp_path / "data" / "dict.ltr.txt"))
    command = ["export", "hf", str(tmp_path / "old.pt"), str(tmp_path / "out"), "--data", str(tmp_path / "data")]
    assert main(command) == 0
    state["cfg"]["task"]["labels"] = None
    torch.save(state, tmp_path / "unlabelled.pt")
    assert main(["export", "hf", str(tmp_path / "unlabelled.pt"), str(tmp_path / "new")]) == 1
    assert "was trained without labels" in capsys.readouterr().err
