"""A text classifier and a tagger of spaCy, trained from a config on made-up sentences.

python -m tests.thinc.spacy_run gradstep.Adam.v1
"""

from __future__ import annotations

import io
import random
import sys
from collections.abc import Iterator
from typing import Any

import spacy
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train
from thinc.api import Config

CONFIG = """
[nlp]
lang = "en"
pipeline = ["tok2vec", "tagger", "textcat"]

[components]

[components.tok2vec]
factory = "tok2vec"

[components.tok2vec.model]
@architectures = "spacy.HashEmbedCNN.v2"
pretrained_vectors = null
width = 96
depth = 2
embed_size = 1000
window_size = 1
maxout_pieces = 3
subword_features = true

[components.tagger]
factory = "tagger"

[components.tagger.model]
@architectures = "spacy.Tagger.v2"
nO = null

[components.tagger.model.tok2vec]
@architectures = "spacy.Tok2VecListener.v1"
width = 96

[components.textcat]
factory = "textcat"

[components.textcat.model]
@architectures = "spacy.TextCatReduce.v1"
exclusive_classes = true
use_reduce_mean = true
use_reduce_max = false
use_reduce_first = false
use_reduce_last = false

[components.textcat.model.tok2vec]
@architectures = "spacy.Tok2VecListener.v1"
width = 96

[corpora]

[corpora.train]
@readers = "sentences.v1"
seed = 0

[corpora.dev]
@readers = "sentences.v1"
seed = 1

[training]
max_epochs = 0
max_steps = 40
eval_frequency = 10
seed = 0

[training.optimizer]
@optimizers = "{optimizer}"
L2 = 0.01
use_averages = true

[training.optimizer.learn_rate]
@schedules = "warmup_linear.v1"
warmup_steps = 20
total_steps = 200
initial_rate = 0.005

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 32
"""

WORDS = {
    "NOUN": ["cat", "ship", "garden", "idea", "letter", "storm", "engine", "child"],
    "VERB": ["sees", "builds", "likes", "paints", "follows", "hides", "breaks"],
    "ADJ": ["small", "bright", "old", "quiet", "heavy", "green"],
    "DET": ["the", "a", "every"],
}
GOOD, BAD = ("bright", "likes", "paints"), ("heavy", "breaks", "hides")


@spacy.registry.readers("sentences.v1")
def sentences(seed: int) -> Any:
    def read(nlp: Any) -> Iterator[Example]:
        draw = random.Random(seed)
        for _ in range(400):
            tags = ["DET", "ADJ", "NOUN", "VERB", "DET", "ADJ", "NOUN"]
            words = [draw.choice(WORDS[tag]) for tag in tags]
            good = sum(word in GOOD for word in words) >= sum(word in BAD for word in words)
            doc = nlp.make_doc(" ".join(words))
            cats = {"GOOD": float(good), "BAD": float(not good)}
            yield Example.from_dict(doc, {"words": words, "tags": tags, "cats": cats})

    return read


def trained(optimizer: str) -> tuple[dict[str, float], list[list[float]]]:
    """Scores on other sentences than those that were trained on, and what spaCy printed."""
    config = Config().from_str(CONFIG.replace("{optimizer}", optimizer))
    nlp = init_nlp(spacy.util.load_model_from_config(config, auto_fill=True).config)
    said = io.StringIO()
    train(nlp, stdout=said, stderr=said)
    scores = nlp.evaluate(list(sentences(1)(nlp)))
    rows = [line.split() for line in said.getvalue().splitlines()]
    return (
        {name: scores[name] for name in ("tag_acc", "cats_macro_f")},
        [[float(cell) for cell in row] for row in rows if row and row[0].isdigit()],
    )


if __name__ == "__main__":
    scores, rows = trained(sys.argv[1])
    print(*rows, scores, sep="\n")
