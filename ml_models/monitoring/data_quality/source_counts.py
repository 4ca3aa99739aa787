"""What the source itself counts: whether rows were lost on the way, or it sent fewer.

Some sources say with each sync how many records they sent. Fewer in the table is the proof of a load that lost them,
and needs no past to compare with. Where both agree and rows are missing, the source is what sent fewer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from ml_models.monitoring.data_quality import messages
from ml_models.monitoring.data_quality.thresholds import WEEK
from ml_models.monitoring.types import Anomaly, Perturbation


@dataclass(frozen=True)
class Counted:
    """What the syncs of a week counted of one table.

    `said`: records that the source says it sent; `came`: how many of these arrived; `syncs`: how many syncs said so.
    """

    said: int
    came: int
    syncs: int


def with_source_counts(
    anomalies: Sequence[Anomaly], counted: Mapping[str, Counted], cutoff: date
) -> tuple[Anomaly, ...]:
    """Return the anomalies of the week before `cutoff` with what the source counted, by asset (`schema/name`).

    Rows that are missing are told as lost by the load or as never sent. A loss that nothing else shows is an anomaly of
    its own, however small: it is counted, not estimated.
    """
    found = [_told(one, counted.get(one.asset)) for one in anomalies]
    told = {one.asset for one in anomalies if _missing(one)}
    first, last = cutoff - timedelta(days=WEEK), cutoff - timedelta(days=1)
    for asset, count in counted.items():
        if count.came >= count.said or asset in told:
            continue
        rate = 1 - count.came / count.said
        found.append(
            Anomaly(
                kind="volume",
                asset=asset,
                column="",
                observed=float(count.came),
                expected=float(count.said),
                threshold=0.0,
                n=count.said,
                sentence=messages.lost_by_the_load(asset, count.said, count.came, count.syncs),
                first_day=first,
                last_day=last,
                rate=rate,
                replay=Perturbation(asset, "drop", rate=rate, first_day=first, last_day=last),
            )
        )
    return tuple(found)


def _missing(one: Anomaly) -> bool:
    """Whether it says that rows did not come, as a whole or in a segment."""
    return one.kind == "stale" or (one.kind == "volume" and one.observed < one.expected)


def _told(one: Anomaly, count: Counted | None) -> Anomaly:
    """Return an anomaly of missing rows with what the source counted in its sentence; any other as it is."""
    # A source that counts less than arrived counts badly, and proves nothing.
    if count is None or not _missing(one) or count.came > count.said:
        return one
    says = messages.sent_fewer if count.came == count.said else messages.lost_by_the_load
    sentence = one.sentence.replace(messages.ON_THE_WAY, "").strip()
    return replace(one, sentence=f"{sentence} {says(one.asset, count.said, count.came, count.syncs)}")
