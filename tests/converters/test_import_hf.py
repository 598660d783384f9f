"""Do checkpoints come back as they were, and do public ones train?"""

import json

import pytest

transformers = pytest.importorskip("transformers", reason="the hf extra is not installed")
pytest.importorskip("fairseq")

import checkpoint_files
import tiny
import torch
from safetensors.torch import load_file, save_file

from fairseq_summarymixing.checkpoints import Checkpoint
from fairseq_summarymixing.cli import main
from fairseq_summarymixing.converters.export_hf import export_hf
from fairseq_summarymixing.converters.import_hf import import_hf
from fairseq_summarymixing.downstream.restore import restore
from fairseq_summarymixing.errors import UserError
from fairseq_summarymixing.models._warm_start import read_encoder


def parameters(path):
    return torch.load(path, weights_only=False)["model"]


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and torch.equal(found[name], value), name


@pytest.mark.parametrize("ctc", [False, True], ids=["pretrained", "ctc"])
@pytest.mark.parametrize("kind", checkpoint_files.KINDS)
def test_there_and_back_is_bit_identical(checkpoint, exported, tmp_path, kind, ctc):
    assert main(["import", "hf", str(exported(kind, ctc)), str(tmp_path / "back.pt")]) == 0
    assert_same(parameters(tmp_path / "back.pt"), parameters(checkpoint(kind, ctc)))
    paths = (tmp_path / "back.pt", checkpoint(kind, ctc))
    fields, before = (torch.load(path, weights_only=False)["cfg"]["model"] for path in paths)
    inner = [each["w2v_args"]["model"] if ctc else each for each in (fields, before)]
    inner[1].pop("init_from", None)  # may be a path
    assert inner[0] == inner[1]


@pytest.mark.parametrize("sizes", [{"latent_dim": 0}, {"latent_dim": 0, "final_dim": 0}], ids=["latent", "both"])
def test_sizes_of_0_which_stand_for_another_come_back(sizes, tmp_path):
    path = checkpoint_files.pretrained(tmp_path / "before.pt", "lite", **sizes)
    export_hf(path, tmp_path / "out")
    import_hf(tmp_path / "out", tmp_path / "back.pt")
    assert_same(parameters(tmp_path / "back.pt"), parameters(path))
    fields = torch.load(tmp_path / "back.pt", weights_only=False)["cfg"]["model"]
    assert {name: fields[name] for name in sizes} == sizes


def test_half_precision_comes_back_as_it_was(checkpoint, tmp_path):
    state = torch.load(checkpoint("lite"), weights_only=False)
    state["model"] = {name: value.half() for name, value in state["model"].items()}
    torch.save(state, tmp_path / "half.pt")
    export_hf(tmp_path / "half.pt", tmp_path / "out")
    import_hf(tmp_path / "out", tmp_path / "back.pt")
    assert_same(parameters(tmp_path / "back.pt"), state["model"])


def public(folder, head, **fields):
    """A wav2vec 2.0 directory as the hub has them, by transformers alone."""
    sizes = dict(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        conv_dim=(16, 24),
        conv_kernel=(10, 8),
        conv_stride=(40, 8),
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        num_codevectors_per_group=6,
        codevector_dim=12,
        proj_codevector_dim=12,
        vocab_size=7,
    )
    model = getattr(transformers, head)(transformers.Wav2Vec2Config(**{**sizes, **fields})).eval()
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True, "sampling_rate": 16000}))
    if head == "Wav2Vec2ForCTC":
        symbols = ["<pad>", "<s>", "</s>", "<unk>", "|", "A", "B"]
        (folder / "vocab.json").write_text(json.dumps({symbol: index for index, symbol in enumerate(symbols)}))
    return model


@pytest.mark.parametrize(
    "fields", [{}, {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}]
)
def test_a_public_checkpoint_computes_the_same_in_fairseq(tmp_path, fields):
    model = public(tmp_path, "Wav2Vec2ForPreTraining", **fields)
    import_hf(tmp_path, tmp_path / "stock.pt")
    checkpoint = Checkpoint.read(tmp_path / "stock.pt")
    assert checkpoint.name == "wav2vec2" and checkpoint.normalize
    stock = restore(checkpoint).model
    wave = torch.randn(1, 12000)
    with torch.no_grad():
        expected = model(wave)
        found = stock.extract_features(wave, None)["x"]
        assert (stock.final_proj(found) - expected.projected_states).abs().max() < 1e-5


def test_a_public_ctc_checkpoint_decodes_in_fairseq(tmp_path):
    model = public(tmp_path, "Wav2Vec2ForCTC")
    import_hf(tmp_path, tmp_path / "ctc.pt")
    restored = restore(Checkpoint.read(tmp_path / "ctc.pt"))
    assert restored.task.target_dictionary.symbols == ["<s>", "<pad>", "</s>", "<unk>", "|", "A", "B"]
    wave = torch.randn(1, 12000)
    with torch.no_grad():
        found = restored.model.w2v_encoder(source=wave, padding_mask=None)["encoder_out"].transpose(0, 1)
        assert (found - model(wave).logits).abs().max() < 1e-5


def test_an_imported_checkpoint_trains_on(exported, tmp_path):
    data = tiny.write_corpus(tmp_path / "data")
    import_hf(exported("summary_mixing"), tmp_path / "back.pt")
    model = dict(model__extractor_mode="layer_norm", model__latent_dim=12)
    start = dict(checkpoint__finetune_from_model=str(tmp_path / "back.pt"), optimization__lr=[0.0])
    settings = tiny.pretraining(data, tmp_path / "run", optimizer__adam_betas="(0.9,0.98)", **model, **start)
    tiny.train("pretraining", "summarymixing_base_librispeech", settings)
    assert_same(parameters(tmp_path / "run" / "checkpoint_last.pt"), parameters(tmp_path / "back.pt"))


def test_missing_and_unknown_parameters_are_listed_together(exported, tmp_path):
    folder = copy(exported("lite"), tmp_path / "out")
    state = load_file(folder / "model.safetensors")
    state["wav2vec2.encoder.more"] = state.pop("wav2vec2.encoder.layer_norm.bias")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"missing encoder\.layer_norm\.bias; unknown encoder\.more"):
        import_hf(folder, tmp_path / "back.pt")
    state["something.else"] = state.pop("wav2vec2.encoder.more")
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"unknown parameters: something\.else"):
        import_hf(folder, tmp_path / "back.pt")
    assert not (tmp_path / "back.pt").exists()


def test_files_are_named_as_what_they_are(exported, tmp_path):
    with pytest.raises(UserError, match="holds no config.json"):
        import_hf(tmp_path, tmp_path / "back.pt")
    folder = copy(exported("lite"), tmp_path / "cut")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(UserError, match="model.safetensors is damaged"):
        import_hf(folder, tmp_path / "back.pt")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match="neither model.safetensors nor pytorch_model.bin"):
        import_hf(folder, tmp_path / "back.pt")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(UserError, match="is of a model 'bert'; expected wav2vec2 or summarymixing"):
        import_hf(folder, tmp_path / "back.pt")


class Harmful:
    def __reduce__(self):
        return exec, ("raise SystemExit('code of a checkpoint was run')",)


def test_no_code_of_a_directory_is_run(exported, tmp_path):
    folder = copy(exported("lite"), tmp_path / "out")
    (folder / "modeling_summarymixing.py").write_text("raise SystemExit('code of a directory was run')")
    import_hf(folder, tmp_path / "back.pt")
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Harmful()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="wants to load .*exec.*it was refused and nothing in it was run"):
        import_hf(folder, tmp_path / "again.pt")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_hidden_layers": 10**6}, "the configuration has 1000000 encoder layers, the parameters are of 2"),
        ({"num_hidden_layers": "two"}, "cannot be imported: .*num_hidden_layers|the configuration has 'two'"),
        ({"hidden_size": 10**7}, "cannot be imported: .*(encoder_embed_dim|shape)"),
        ({"hidden_size": 64}, "cannot be imported: .*shape"),
        ({"hidden_size": None}, "cannot be imported"),
        ({"hidden_size": -32}, "cannot be imported"),
        ({"hidden_dropout": float("nan")}, "cannot be imported"),
        ({"num_attention_heads": 0}, "cannot be imported"),
        ({"conv_dim": [16]}, "cannot be imported"),
        ({"conv_stride": [0, 0]}, "cannot be imported"),
        ({"conv_kernel": "many"}, "cannot be imported"),
        ({"num_codevectors_per_group": 10**12}, "cannot be imported"),
        ({"feat_extract_norm": ["group"]}, "cannot be imported"),
        ({"fairseq": [1, 2]}, "cannot be imported"),
        ({"fairseq": {"model": "none"}}, "cannot be imported"),
        ({"model_type": ["wav2vec2"]}, "is of a model"),
        ({"hidden_size": "32"}, "config.json: hidden_size must be a whole number; got '32'"),
        ({"hidden_dropout": True}, "config.json: hidden_dropout must be a number; got True"),
        ({"conv_dim": [16, 1.5]}, "config.json: conv_dim must be a list, each a whole number; got .16, 1.5."),
        ({"hidden_act": ["gelu"]}, "config.json: hidden_act must be a text; got .'gelu'."),
        ({"fairseq": {"model": {"latent_temp": True}}}, "fairseq.model.latent_temp must be a list, each a number"),
        (
            {"fairseq": {"dtype": []}},
            "config.json: fairseq.dtype must be one of float32, float16, bfloat16, float64; got ..$",
        ),
        (
            {"fairseq": {"dtype": "half a byte"}},
            "config.json: fairseq.dtype must be one of float32, .*; got 'half a byte'",
        ),
        (
            {"fairseq": {"model": {"encoder_layers": 2}}},
            "a value in its JSON files is none that transformers writes there",
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["lite", "stock"])
def test_nonsense_in_a_configuration_ends_in_one_line(kind, change, message, exported, tmp_path):
    folder = copy(exported(kind), tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text())
    if "fairseq" not in change:
        config.pop("fairseq")
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(UserError, match=message) as error:
        import_hf(folder, tmp_path / "back.pt")
    assert "\n" not in str(error.value) and not (tmp_path / "back.pt").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{", "[" * 100000, "\0\1\2", '{"model_type": 1}', '{"model_type": {}}']
)
def test_garbage_for_a_configuration_ends_in_one_line(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match="config.json") as error:
        import_hf(tmp_path, tmp_path / "back.pt")
    assert "\n" not in str(error.value)


def test_an_encoder_alone_is_for_init_from(tmp_path):
    public(tmp_path, "Wav2Vec2Model")
    with pytest.raises(UserError, match="holds the encoder alone.*model.init_from="):
        import_hf(tmp_path, tmp_path / "back.pt")
    assert "encoder.layers.0.mixer.q_proj.weight" in read_encoder(tmp_path)


@pytest.mark.parametrize("vocabulary", ["{", "[]", '{"a": "b"}', '{"a": null}', '{"a": 1e400}', '{"a": true}'])
def test_a_damaged_vocabulary_is_named(vocabulary, exported, tmp_path):
    folder = copy(exported("lite", ctc=True), tmp_path / "out")
    (folder / "vocab.json").write_text(vocabulary)
    with pytest.raises(UserError, match=r"vocab\.json"):
        import_hf(folder, tmp_path / "back.pt")


def test_a_vocabulary_in_another_order_is_refused(exported, tmp_path):
    folder = copy(exported("lite", ctc=True), tmp_path / "out")
    symbols = list(json.loads((folder / "vocab.json").read_text()))
    (folder / "vocab.json").write_text(json.dumps({symbol: index for index, symbol in enumerate(reversed(symbols))}))
    with pytest.raises(UserError, match=r"must number 10 symbols from 0 on, first <pad>"):
        import_hf(folder, tmp_path / "back.pt")


def copy(folder, to):
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to
