"""What people may set about the policy: when a retraining or a rollback is worth it, and how long is waited for what.

What a check counts as wrong is no setting: it was measured, and stands in the `thresholds` module of its package.
`docs/thresholds.md` lists both (`python -m tools.thresholds` writes it from the docstrings under each name).
"""

from dataclasses import dataclass

from ml_models.cutoffs import MINIMUM_CUTOFFS, RECENT_CUTOFFS, cutoffs_needed
from ml_models.monitoring.prices import Prices


@dataclass(frozen=True)
class Settings:
    """The policy's numbers. Days are calendar days; gains and harms are differences in mean log-loss a row."""

    minimum_gain: float = 0.001
    """Log-loss that a retraining must promise at least, beyond noise. On the bundled year a refit gains .000 to .001
    over a champion with twenty weeks of labels, and .001 is worth no run."""

    urgent_gain: float = 0.01
    """Log-loss from which a gain is not waited for. A smaller gain that still grows is: an event is improved once, and
    the cool-down would hold back the better model."""

    patience_days: int = 14
    """Days that a small, growing gain is waited for at most."""

    minimum_harm: float = 0.001
    """Log-loss that a promotion must have cost, beyond noise, before it is rolled back."""

    cooldown_beyond_days: int = 7
    """Days beyond the horizon in which nothing is retrained after an improve or a rollback: labels mature before the
    effect is seen."""

    comparison_beyond_days: int = 7
    """Days beyond two horizons for which the champion is compared with its predecessor after a promotion: one until the
    first label is known, one more until as many are as a grade asks for."""

    contaminated_share: float = 0.02
    """Share (0 to 1) of the champion's training days that may be bad before it counts as trained on bad rows."""

    growth: float = 2.0
    """Ratio of the labelled cutoffs to those that the champion knew, from which it is outgrown and retrained."""

    minimum_cutoffs: int = MINIMUM_CUTOFFS
    """Clean labelled cutoffs that a retraining needs at least; a long horizon needs more (`cutoffs_needed`)."""

    recent_cutoffs: int = RECENT_CUTOFFS
    """Cutoffs that a `recent` window holds."""

    judged_cutoffs: int = 4
    """Newest matured cutoffs on which a retraining's gain is measured, at most."""

    event_gap_days: int = 14
    """Days of silence over which an event still goes on."""

    prices: Prices | None = None
    """What a retraining, a contact and a missed customer cost the company (`[prices]` of its file). With them money
    decides whether an improvement is worth it, and `minimum_gain` does not."""

    def cooldown_days(self, horizon_days: int) -> int:
        """Return for how many days after an improve or a rollback nothing is retrained.

        >>> Settings().cooldown_days(28), Settings().cooldown_days(56)
        (35, 63)
        """
        return horizon_days + self.cooldown_beyond_days

    def comparison_days(self, horizon_days: int) -> int:
        """Return for how many days after a promotion the champion is compared with its predecessor.

        >>> Settings().comparison_days(28), Settings().comparison_days(56)
        (63, 119)
        """
        return 2 * horizon_days + self.comparison_beyond_days

    def needed_cutoffs(self, horizon_days: int) -> int:
        """Return how many clean labelled cutoffs a retraining needs at least."""
        return max(self.minimum_cutoffs, cutoffs_needed(horizon_days))


SETTINGS = Settings()
