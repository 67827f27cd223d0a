"""Sentence Transformers: its trainer is that of Transformers, around a loss of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.torch.clients.training import (
    Class,
    Tensors,
    assert_stepped,
    assert_trains_alike,
    torch,
    values,
)

sentence_transformers = pytest.importorskip(
    "sentence_transformers", reason="not installed: pip install '.[clients]'"
)
datasets = pytest.importorskip("datasets", reason="not installed: pip install '.[clients]'")

WORDS = ["red", "green", "blue", "cat", "dog", "bird"]


@pytest.fixture
def bert(tmp_path: Path) -> str:
    """Where a tiny BERT and its tokenizer lie."""
    import transformers

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary), "utf-8")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path)
    return str(tmp_path)


def pairs() -> Any:
    """Two words each, which are alike if their places in the list are of one half."""
    left = [WORDS[i % 6] + " " + WORDS[i % 5] for i in range(48)]
    right = [WORDS[i % 4] for i in range(48)]
    alike = [float((i % 6 < 3) == (i % 4 < 3)) for i in range(48)]
    return datasets.Dataset.from_dict({"sentence1": left, "sentence2": right, "score": alike})


def train(optimizer_class: Class, bert: str) -> Tensors:
    st = sentence_transformers
    transformer = st.sentence_transformer.modules.Transformer(bert)
    pooling = st.sentence_transformer.modules.Pooling(16)
    model = st.SentenceTransformer(modules=[transformer, pooling], device="cpu")
    trainer = st.SentenceTransformerTrainer(
        model,
        st.SentenceTransformerTrainingArguments(
            bert,
            max_steps=24,
            per_device_train_batch_size=8,
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
            report_to="none",
        ),
        train_dataset=pairs(),
        loss=st.sentence_transformer.losses.CosineSimilarityLoss(model),
        optimizer_cls_and_kwargs=(optimizer_class, {"lr": 0.002, "eps": 1e-6}),
    )
    trainer.train()
    assert_stepped(trainer.optimizer.optimizer, optimizer_class, 24)
    return values(model)


def test_trains_as_with_torch(bert: str) -> None:
    assert_trains_alike(lambda cls: train(cls, bert), "AdamW")
