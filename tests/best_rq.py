"""Another objective over our speech encoder: what one file of its own takes."""

import torch
import torch.nn.functional as F
from torch import nn

from fairseq_summarymixing.modules.speech_encoder import SpeechEncoder


class BestRQ(SpeechEncoder):
    """Masked prediction of codes: the nearest of random vectors to a random projection of the frame.

    Chiu, Qin, Zhang, Yu, Wu, "Self-Supervised Learning with Random-Projection Quantizer for Speech Recognition", ICML
    2022.
    """

    def __init__(self, frontend, encoder, masking, num_codes=16, code_dim=8):
        super().__init__(frontend, encoder, masking)
        self.register_buffer("projection", torch.randn(self.feature_extractor.output_dim, code_dim))
        self.register_buffer("codebook", F.normalize(torch.randn(num_codes, code_dim), dim=-1))
        self.head = nn.Linear(encoder.encoder_embed_dim, num_codes)

    @torch.no_grad()
    def codes(self, features):
        """(N, C) to (N,): with both of length 1, the nearest has the largest product."""
        return (F.normalize(features @ self.projection, dim=-1) @ self.codebook.transpose(0, 1)).argmax(dim=-1)

    def forward(self, source, padding_mask=None, seeds=None):
        """Logits (N, codes) and targets (N,) of the masked frames."""
        masked = self.encode_masked(source, padding_mask, seeds)
        return self.head(masked.context), self.codes(masked.features)

    def remove_pretraining_modules(self):
        self.head = None
