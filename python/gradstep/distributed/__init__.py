"""Training in many processes, with the same bits for any number of them."""

from gradstep.distributed.agreement import Disagreement, OtherRankError
from gradstep.distributed.sharded import Sharded
from gradstep.distributed.threads import in_threads
from gradstep.distributed.transport import Lost, Transport

__all__ = ["Disagreement", "Lost", "OtherRankError", "Sharded", "Transport", "in_threads"]
