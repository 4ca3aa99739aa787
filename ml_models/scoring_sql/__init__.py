"""A fitted scikit-learn pipeline as SQL, equal to `predict_proba` within 1e-9: compiled, proved, published.

The files: `preprocessing` reads the steps before the estimator, `linear` and `trees` write an estimator as an
expression, `dialects` knows how DuckDB and GoogleSQL differ, `compiler` puts them together, `parity` proves the result
on rows, `publishing` makes SQL functions of it, `paths` chooses between SQL and scikit-learn by cost.
"""

from ml_models.scoring_sql.compiler import CompiledScore, compile_pipeline
from ml_models.scoring_sql.errors import UnsupportedPipelineError
from ml_models.scoring_sql.parity import ParityResult, parity
from ml_models.scoring_sql.paths import PathChoice, choose_path, gathered, score_streamed
from ml_models.scoring_sql.publishing import alias_statements, function_name, function_statements

__all__ = [
    "CompiledScore",
    "ParityResult",
    "PathChoice",
    "UnsupportedPipelineError",
    "alias_statements",
    "choose_path",
    "compile_pipeline",
    "function_name",
    "function_statements",
    "gathered",
    "parity",
    "score_streamed",
]
