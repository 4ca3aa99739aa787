"""Should the champion serve at all? Why not, and which model to return to."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml_models.model_version import ModelInfo
from ml_models.monitoring.bad_periods import BadPeriod
from ml_models.monitoring.decision import messages
from ml_models.monitoring.decision.quarantine import contamination
from ml_models.monitoring.decision.thresholds import CLEANER
from ml_models.monitoring.settings import SETTINGS, Settings
from ml_models.monitoring.types import Situation


@dataclass(frozen=True)
class ChampionFault:
    """Why the champion should not serve; `return_to` is None when no clean predecessor is left."""

    reason: str
    return_to: ModelInfo | None


def champion_fault(
    situation: Situation, periods: Sequence[BadPeriod], settings: Settings = SETTINGS
) -> ChampionFault | None:
    """Return why the champion should not serve, None when it should.

    It learned from rows now known to be bad; or, on clean rows that neither model knew, it does worse than its
    predecessor since the promotion. A clean predecessor is one whose share of bad training days is below CLEANER times
    the champion's.
    """
    champion, previous = situation.champion, situation.previous
    if champion is None:
        return None
    share = contamination(champion, situation, periods)
    if share > settings.contaminated_share:
        reason = messages.contaminated(champion, share)
        if previous is not None:
            before = contamination(previous, situation, periods)
            if before < share * CLEANER:
                return ChampionFault(f"{reason}; {messages.cleaner(previous, before)}.", previous)
        return ChampionFault(f"{reason}.", None)
    effect = situation.effect
    compared = (situation.cutoff - champion.promoted_on).days <= settings.comparison_days(situation.horizon_days)
    if previous is None or effect is None or not effect.known or not compared:
        return None
    if effect.high >= 0 or -effect.value < settings.minimum_harm:
        return None
    return ChampionFault(messages.did_harm(champion, previous, effect), previous)
