"""gradstep's steps for Thinc and spaCy: optimizers that take the place of Thinc's own.

In a config, which needs no import: ``@optimizers = "gradstep.Adam.v1"`` (or AdamW, RAdam, SGD).
"""

from gradstep.thinc.factories import SGD, Adam, AdamW, RAdam
from gradstep.thinc.optimizer import Optimizer

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RAdam"]
