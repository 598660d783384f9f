"""wav2vec 2.0 with SummaryMixing as Hugging Face models.

The heads are those of ``transformers``' Wav2Vec2; front end, projection and encoder are this project's modules.
"""

from typing import Optional

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from transformers import (
    Wav2Vec2ForCTC,
    Wav2Vec2ForPreTraining,
    Wav2Vec2ForSequenceClassification,
    Wav2Vec2Model,
    Wav2Vec2PreTrainedModel,
)
from transformers.modeling_outputs import Wav2Vec2BaseModelOutput
from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2GumbelVectorQuantizer

from ..checkpoints.former_lite import refuse_lite_with_combiner
from ..modules.build import build_encoder, build_frontend
from ..modules.config import EncoderConfig, FrontendConfig
from ..modules.log_mel import padding_beyond
from .configuration_summarymixing import SummaryMixingConfig, module_config


class FeatureProjection(nn.Module):
    """A projection of features to the encoder's width: LayerNorm, a linear layer where the widths differ, dropout."""

    def __init__(self, config: SummaryMixingConfig):
        super().__init__()
        features = config.conv_dim[-1]
        self.layer_norm = nn.LayerNorm(features)
        self.projection = nn.Linear(features, config.hidden_size) if features != config.hidden_size else nn.Identity()
        self.dropout = nn.Dropout(config.feat_proj_dropout)

    def forward(self, x: Tensor):
        """Normalise and project. x: (B, T, C). Returns (B, T, D) and the normalised features (B, T, C)."""
        normalised = self.layer_norm(x)
        return self.dropout(self.projection(normalised)), normalised


def weight_norm_convolution(config: SummaryMixingConfig) -> nn.Module:
    """Build the convolution of positions, with the parameter names that transformers gives to every weight norm."""
    kernel = config.num_conv_pos_embeddings
    convolution = nn.Conv1d(
        config.hidden_size, config.hidden_size, kernel, padding=kernel // 2, groups=config.num_conv_pos_embedding_groups
    )
    return weight_norm(convolution, dim=2)


class SummaryMixingMixin:
    """The parts that all models share: how weights start, lengths, and what the front end is."""

    config_class = SummaryMixingConfig
    _no_split_modules = ["TransformerLayer", "ConformerLayer"]

    def _init_weights(self, module):
        """Initialise what no checkpoint holds; our modules have initialised themselves."""
        if hasattr(module, "fill_buffers"):  # built without storage while weights are loaded
            module.fill_buffers()
        elif isinstance(module, SummaryMixingModel):
            module.masked_spec_embed.data.uniform_()
        elif isinstance(module, (nn.Linear, Wav2Vec2GumbelVectorQuantizer)) or module is self:
            super()._init_weights(module)

    def _get_feat_extract_output_lengths(self, input_lengths, add_adapter=None):
        frontend = self.base_model.feature_extractor
        return frontend.output_lengths(torch.as_tensor(input_lengths))

    def _adjust_missing_and_unexpected_keys(self, *arguments):
        """Refuse a SummaryMixing-lite that has a combiner; transformers calls it when it has loaded a directory: 5 with
        a record of the loading, 4 with the lists. It does not go through ``load_state_dict``, and only warns of
        parameters that the model has not."""
        if self.config.mixer == "summary_mixing_lite":
            refuse_lite_with_combiner(arguments[0].unexpected_keys if len(arguments) == 1 else arguments[1])
        return super()._adjust_missing_and_unexpected_keys(*arguments)

    def freeze_feature_encoder(self):
        self.base_model.feature_extractor.requires_grad_(False)


class SummaryMixingModel(SummaryMixingMixin, Wav2Vec2Model):
    """The encoder: a model from waveforms to hidden states."""

    def __init__(self, config: SummaryMixingConfig):
        Wav2Vec2PreTrainedModel.__init__(self, config)
        self.feature_extractor = build_frontend(module_config(config, FrontendConfig))
        self.feature_projection = FeatureProjection(config)
        self.masked_spec_embed = nn.Parameter(torch.rand(config.hidden_size))
        self.encoder = build_encoder(module_config(config, EncoderConfig))
        if config.positions == "conv":
            self.encoder.pos_conv[0] = weight_norm_convolution(config)
        self.gradient_checkpointing = False
        self.post_init()

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Optional[Tensor] = None,
        mask_time_indices: Optional[Tensor] = None,
        output_attentions: Optional[bool] = None,
        output_hidden_states: Optional[bool] = None,
        return_dict: Optional[bool] = None,
        **kwargs,
    ):
        """Compute hidden states. input_values: (B, samples); attention_mask: (B, samples), 0 = padding, None = there is
        none.

        ``hidden_states`` are the first layer's input and each layer's output, whatever layerdrop skips;
        the last of them is ``last_hidden_state``. There are no attentions to return.
        """
        hidden_wanted = self.config.output_hidden_states if output_hidden_states is None else output_hidden_states
        lengths = None if attention_mask is None else (attention_mask != 0).sum(dim=1)
        features, lengths = self.feature_extractor(input_values, lengths)
        hidden, extract_features = self.feature_projection(features.to(self.masked_spec_embed.dtype))
        padding_mask = padding_beyond(lengths, hidden.shape[1])
        frame_mask = None if padding_mask is None else (~padding_mask).long()
        hidden = self._mask_hidden_states(hidden, mask_time_indices, frame_mask)
        self.encoder.checkpoint_activations = self.gradient_checkpointing
        x, states = self.encoder(hidden, padding_mask, return_hidden_states=bool(hidden_wanted))
        if states is not None:
            states = (*states[:-1], x)
        if return_dict is False or (return_dict is None and not self.config.return_dict):
            return tuple(value for value in (x, extract_features, states) if value is not None)
        return Wav2Vec2BaseModelOutput(last_hidden_state=x, extract_features=extract_features, hidden_states=states)


class SummaryMixingForPreTraining(SummaryMixingMixin, Wav2Vec2ForPreTraining):
    """The encoder with quantiser and projections; arguments and outputs as ``Wav2Vec2ForPreTraining``."""

    def __init__(self, config: SummaryMixingConfig):
        Wav2Vec2PreTrainedModel.__init__(self, config)
        self.wav2vec2 = SummaryMixingModel(config)
        self.dropout_features = nn.Dropout(config.feat_quantizer_dropout)
        self.quantizer = Wav2Vec2GumbelVectorQuantizer(config)
        self.project_hid = nn.Linear(config.hidden_size, config.proj_codevector_dim)
        self.project_q = nn.Linear(config.codevector_dim, config.proj_codevector_dim)
        self.post_init()


class SummaryMixingForCTC(SummaryMixingMixin, Wav2Vec2ForCTC):
    """The encoder with a linear layer to ``vocab_size`` logits; arguments and outputs as ``Wav2Vec2ForCTC``."""

    def __init__(self, config: SummaryMixingConfig, target_lang: Optional[str] = None):
        Wav2Vec2PreTrainedModel.__init__(self, config)
        self.wav2vec2 = SummaryMixingModel(config)
        self.dropout = nn.Dropout(config.final_dropout)
        self.target_lang = target_lang
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()


class SummaryMixingForSequenceClassification(SummaryMixingMixin, Wav2Vec2ForSequenceClassification):
    """The encoder with pooling over time and a classifier; arguments and outputs as
    ``Wav2Vec2ForSequenceClassification``."""

    def __init__(self, config: SummaryMixingConfig):
        Wav2Vec2PreTrainedModel.__init__(self, config)
        self.wav2vec2 = SummaryMixingModel(config)
        if config.use_weighted_layer_sum:
            self.layer_weights = nn.Parameter(torch.ones(config.num_hidden_layers + 1) / (config.num_hidden_layers + 1))
        self.projector = nn.Linear(config.hidden_size, config.classifier_proj_size)
        self.classifier = nn.Linear(config.classifier_proj_size, config.num_labels)
        self.post_init()
