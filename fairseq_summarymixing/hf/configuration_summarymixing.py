"""Configuration of wav2vec 2.0 with SummaryMixing, in Hugging Face's terms."""

import math

from transformers import Wav2Vec2Config


class SummaryMixingConfig(Wav2Vec2Config):
    """Fields of ``Wav2Vec2Config``, which keep their meaning, and these. 16 kHz waveforms.

    Args:
        mixer: what mixes frames: ``summary_mixing``, ``summary_mixing_lite``, ``self_attention``, ``hyper_mixing`` (of
            ``intermediate_size`` hidden units) or ``fastformer``; ``num_attention_heads`` applies to each of them,
            ``attention_dropout`` to all but lite.
        encoder_layer: ``transformer``, or ``conformer``, which has ``conv_depthwise_kernel_size`` too.
        frontend: ``waveform``, wav2vec 2.0's convolutions (``conv_dim``, ``conv_kernel``, ``conv_stride``), or
            ``log_mel``: ``num_mel_bins`` log-mel bins, 100 frames a second, and then these convolutions.
        positions: ``conv`` or ``sinusoidal``.
        summary_hidden_dim: width of the SummaryMixing branches; None = ``hidden_size``, which it must be for lite.
        summary_branch_norm: LayerNorm on both branches of ``summary_mixing``.
    """

    model_type = "summarymixing"

    def __init__(
        self,
        mixer="summary_mixing",
        encoder_layer="transformer",
        frontend="waveform",
        positions="conv",
        summary_hidden_dim=None,
        summary_branch_norm=True,
        conv_depthwise_kernel_size=31,
        num_mel_bins=80,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.mixer = mixer
        self.encoder_layer = encoder_layer
        self.frontend = frontend
        self.positions = positions
        self.summary_hidden_dim = summary_hidden_dim
        self.summary_branch_norm = summary_branch_norm
        self.conv_depthwise_kernel_size = conv_depthwise_kernel_size
        self.num_mel_bins = num_mel_bins

    @property
    def inputs_to_logits_ratio(self):
        """Samples from one frame to the next."""
        return math.prod(self.conv_stride) * (160 if self.frontend == "log_mel" else 1)
