"""Looking after history: is it true, and is it whole?

:func:`verify` reconciles history with the live rows and changes nothing; :func:`baseline` gives
rows that are older than their history a first version; :func:`repair` mends what :func:`verify`
finds.  All work on sets, in ranges of keys, and tell how far they are.
"""

from __future__ import annotations

from .ends import update_end_tx_column, update_property_mod_flags
from .faults import Fault, FaultKind, verify
from .first_states import baseline
from .pruning import prune
from .redacting import redact
from .repairs import Repair, repair

__all__ = [
    "Fault",
    "FaultKind",
    "Repair",
    "baseline",
    "prune",
    "redact",
    "repair",
    "update_end_tx_column",
    "update_property_mod_flags",
    "verify",
]
