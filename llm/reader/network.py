"""The reader's network: the embedder's encoder, trained further, with heads for span and judgement.

The table of words (250,037 x 384) stays the embedder's own and is never trained, so the reader adds 21 M weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModel

from llm.quiet import quiet_transformers

JUDGEMENTS = ("relevant", "holds", "supports")


class Reading(NamedTuple):
    """Logits: ``start`` and ``end`` (rows, length), masked outside the text but for position 0, which means "not
    here"; ``judged`` (rows, 3), one for each of :data:`JUDGEMENTS`."""

    start: Tensor
    end: Tensor
    judged: Tensor


class ReaderNetwork(nn.Module):
    """Reads word vectors (rows, length, dimension) with their mask.

    Span heads follow Devlin et al. 2019 (position 0 for "no answer"). The judgements see the first token, the mean of
    the text and its product with the mean of the question: the embedder was trained to make those two alike, so the
    product tells relevance from the first step on.
    """

    def __init__(self, encoder: nn.Module, *, dimension: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.span = nn.Linear(dimension, 2)
        self.pool = nn.Linear(3 * dimension, dimension)
        self.judge = nn.Linear(dimension, len(JUDGEMENTS))

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The encoder's layers, from the words up."""
        return list(self.encoder.encoder.layer)  # type: ignore[union-attr, arg-type]

    def forward(self, words: Tensor, mask: Tensor, segment: Tensor) -> Reading:
        """Return the logits.

        Args:
            words: Word vectors, float (rows, length, dimension).
            mask: 1 where a token is, int64 (rows, length).
            segment: 0 frame, 1 question, 2 text, int64 (rows, length).
        """
        hidden = self.encoder(inputs_embeds=words, attention_mask=mask)[0]
        text = segment == 2
        question, passage = _mean(hidden, segment == 1), _mean(hidden, text)
        pooled = torch.tanh(self.pool(torch.cat([hidden[:, 0], passage, question * passage], dim=-1)))
        spans = self.span(hidden)
        readable = text.clone()
        readable[:, 0] = True
        start, end = (spans[..., i].masked_fill(~readable, -1e4) for i in (0, 1))
        return Reading(start=start, end=end, judged=self.judge(pooled))


def _mean(hidden: Tensor, where: Tensor) -> Tensor:
    weight = where.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


def from_embedder(folder: Path, *, seed: int = 0) -> tuple[ReaderNetwork, Tensor]:
    """Return a new reader on the encoder of a BERT folder, float32, and the folder's table of words, frozen.

    Positions, token types and the norm after them stay the embedder's too.
    """
    quiet_transformers()
    torch.manual_seed(seed)
    bert = AutoModel.from_pretrained(
        str(folder), dtype=torch.float32, local_files_only=True, add_pooling_layer=False, attn_implementation="sdpa"
    )
    words = bert.embeddings.word_embeddings.weight.detach()
    bert.embeddings.word_embeddings = nn.Embedding(1, words.shape[1], _weight=torch.zeros(1, words.shape[1]))
    for parameter in bert.embeddings.parameters():
        parameter.requires_grad_(False)
    for module in bert.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # one pass over much data; dropout would cost a third of the speed
    network = ReaderNetwork(bert, dimension=words.shape[1])
    nn.init.normal_(network.span.weight, std=0.02)
    return network, words
