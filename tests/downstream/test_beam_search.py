"""Does a language model change the words as it should, and is every answer on disk?"""

import gzip
import json
import os

import pytest
import torch

pytest.importorskip("flashlight.lib.text", reason="the lm extra is not installed")

from fairseq_summarymixing.cli import main
from fairseq_summarymixing.downstream.beam_search import LM_WEIGHTS, WORD_SCORES, BeamDecoder, BeamSearch, tune
from fairseq_summarymixing.errors import UserError

SYMBOLS = ["<s>", "<pad>", "</s>", "<unk>", "|", "H", "E", "I"]


def write_arpa(path, scores):
    """Unigrams: logarithms to base 10 by word."""
    scores = {"<unk>": -9, "<s>": -99, "</s>": -1, **scores}
    lines = [f"{score}\t{word}\t0" if word != "</s>" else f"{score}\t{word}" for word, score in scores.items()]
    head, bigrams = ["\\data\\", f"ngram 1={len(lines)}", "ngram 2=1"], ["\\2-grams:", "-3\t<s> </s>"]
    path.write_text("\n".join([*head, "", "\\1-grams:", *lines, "", *bigrams, "", "\\end\\", ""]))
    return path


@pytest.fixture
def files(tmp_path):
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("HE\tH E |\nHI\tH I |\n")
    return write_arpa(tmp_path / "lm.arpa", {"HE": -3, "HI": -0.1}), lexicon


def emissions():
    """The acoustics prefer HE a little: H, E (or I), |."""
    scores = torch.full((8, len(SYMBOLS)), -5.0)
    for frame, token in enumerate([0, 5, 5, 0, 6, 6, 4, 0]):
        scores[frame, token] = 2.0
    scores[4:6, 7] = 1.8
    return scores


def spell(hypothesis):
    return "".join(SYMBOLS[token] for token in hypothesis.tokens)


def test_the_language_model_decides_between_close_words(files):
    assert spell(BeamDecoder(BeamSearch(*files, lm_weight=0.0), SYMBOLS, 0)(emissions())[0]) == "HE|"
    first, second = BeamDecoder(BeamSearch(*files, lm_weight=2.0, nbest=2), SYMBOLS, 0)(emissions())
    assert (spell(first), spell(second)) == ("HI|", "HE|")
    assert first.frames == [1, 4, 6] and first.score > second.score


def test_tuning_takes_the_best_pair(files):
    decoder = BeamDecoder(BeamSearch(*files, lm_weight=0.0), SYMBOLS, 0)
    message = tune(decoder, [emissions()], lambda answers: float(spell(answers[0]) != "HI|"))
    assert decoder.lm_weight in LM_WEIGHTS and decoder.word_score in WORD_SCORES
    assert spell(decoder(emissions())[0]) == "HI|"
    assert f"best: lm_weight {decoder.lm_weight:g}, word_score {decoder.word_score:g}" in message.splitlines()[-1]
    assert message.endswith("(at the edge of what was tried: there may be better ones)")


def test_no_frames_and_no_speech_are_empty(files):
    decoder = BeamDecoder(BeamSearch(*files), SYMBOLS, 0)
    assert decoder(torch.zeros(0, len(SYMBOLS)))[0].tokens == []
    silence = torch.full((9, len(SYMBOLS)), -9.0)
    silence[:, 0] = 9.0
    assert spell(decoder(silence)[0]).strip("|") == ""


@pytest.mark.parametrize(
    "text, message",
    [
        ("HE\tH X |\n", r"lexicon\.txt:1: not in the model's dictionary: X"),
        ("\nHE\n", r"lexicon\.txt:2: no spelling"),
        ("HE\tH E\n", r"lexicon\.txt:1: the spelling does not end with \|"),
        ("he\tH E |\n", "knows none of the words of `lexicon`"),
        ("", "holds no words"),
    ],
)
def test_a_wrong_lexicon_is_an_error_with_its_line(files, text, message):
    files[1].write_text(text)
    with pytest.raises(UserError, match=message):
        BeamDecoder(BeamSearch(*files), SYMBOLS, 0)


def test_answers_are_the_lexicons_words(files, capsys):
    files[1].write_text("\ufeffHE\tH I |\nunheard\tI |\n", encoding="utf-8")
    decoder = BeamDecoder(BeamSearch(*files), SYMBOLS, 0)
    assert decoder(emissions())[0].words == ["HE"]
    assert "does not know 1 word of the lexicon, such as 'unheard'" in capsys.readouterr().err


def test_wrong_options_and_files_are_errors(files, tmp_path, capfd):
    with pytest.raises(UserError, match="`lm`: there is no file"):
        BeamSearch(tmp_path / "none.arpa", files[1])
    with pytest.raises(UserError, match="`lm_weight` must lie between -1000000 and 1000000; got nan"):
        BeamSearch(*files, lm_weight=float("nan"))
    with pytest.raises(UserError, match="`nbest` 5 is more than `beam` 3"):
        BeamSearch(*files, beam=3, nbest=5)
    files[0].write_text("no language model")
    with pytest.raises(UserError, match="lm.arpa cannot be read"):
        BeamDecoder(BeamSearch(*files), SYMBOLS, 0)
    reader, writer = os.pipe()  # as a shell's <(command)
    with pytest.raises(UserError, match="is a pipe, which can be read only once: write a file"):
        BeamSearch(f"/dev/fd/{reader}", files[1])
    os.close(reader), os.close(writer)
    files[0].write_bytes(gzip.compress(write_arpa(files[0], {"HE": "-0,5"}).read_bytes()))
    with pytest.raises(UserError, match="from byte 70 of the uncompressed text on: Expected tab"):
        BeamDecoder(BeamSearch(*files), SYMBOLS, 0)
    with pytest.raises(UserError, match="marks where words end"):
        BeamDecoder(BeamSearch(*files), ["<s>", "H", "E", "I"], 0)


def test_decoding_with_all_options(finetuned, corpus, tmp_path, capsys):
    lines = [line for split in ("train", "test") for line in (corpus / f"{split}.ltr").read_text().splitlines()]
    words = {word for line in lines for word in line.replace(" ", "").split("|") if word}
    lm = write_arpa(tmp_path / "lm.arpa", {word: -1 for word in words})
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("".join(f"{word}\t{' '.join(word)} |\n" for word in sorted(words)))
    arguments = ["decode", str(finetuned["wav2vec2_summarymixing"]), "--data", str(corpus), "--split", "test"]
    more = ["--lm", str(lm), "--lexicon", str(lexicon), "--nbest", "3", "--tune", "train", "--timestamps"]
    assert main([*arguments, *more, "--out", str(tmp_path / "out")]) == 0
    assert "best: lm_weight" in capsys.readouterr().err
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["decoder"].startswith("CTC beam search") and {"lm_weight", "word_score", "beam"} <= result.keys()
    hypotheses = (tmp_path / "out" / "hypotheses.wrd").read_text().splitlines()
    assert {word for line in hypotheses for word in line.split()} <= words
    ranked = [line.split("\t") for line in (tmp_path / "out" / "nbest.tsv").read_text().splitlines()]
    assert [row[3] for row in ranked if row[1] == "1"] == hypotheses
    lines = [line.split() for line in (tmp_path / "out" / "hypotheses.ctm").read_text().splitlines()]
    assert [fields[4] for fields in lines] == [word for line in hypotheses for word in line.split()]
    assert all(0 <= float(fields[2]) < 2 and float(fields[3]) > 0 for fields in lines)


def test_options_that_need_a_language_model_are_errors_without(finetuned, corpus, capsys):
    arguments = ["decode", str(finetuned["wav2vec2"]), "--data", str(corpus), "--split", "test"]
    for options, message in (
        (["--nbest", "2"], "--nbest needs --lm"),
        (["--lm-weight", "1", "--lexicon", "L"], "--lexicon needs --lm"),
        (["--lm-weight", "0"], "--lm-weight needs --lm"),
        (["--lm", "L"], "--lm needs --lexicon"),
    ):
        assert main([*arguments, *options]) == 1
        assert capsys.readouterr().err == f"error: {message}\n"


def test_greedy_decoding_has_times_too(finetuned, corpus, tmp_path):
    for name, path in finetuned.items():
        arguments = ["decode", str(path), "--data", str(corpus), "--split", "test", "--timestamps"]
        assert main([*arguments, "--out", str(tmp_path / name)]) == 0
        lines = (tmp_path / name / "hypotheses.ctm").read_text().split("\n")
        words = (tmp_path / name / "hypotheses.wrd").read_text().split()
        assert [line.split()[4] for line in lines if line] == words
