"""Tables of a data set that the library datasets has saved (data-00000-of-00001.arrow). Their rows are
conversations; what describes the data set lies beside them."""

from __future__ import annotations

from knapsack_lib.audit.formats.base import Format, Sample
from knapsack_lib.audit.formats.chat import messages_of, read


def knows(sample: Sample) -> bool:
    return sample.kind == "arrow" and messages_of(sample.first) is not None


FORMAT = Format(
    "datasets",
    "a data set folder as datasets saves it (Arrow); its Parquet and JSON are read as chat",
    read,
    knows=knows,
    beside=r"(^|/)(dataset_infos?|dataset_dict|state)\.json$",
)
