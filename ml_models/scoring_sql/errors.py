"""What the compiler says when it cannot."""


class UnsupportedPipelineError(ValueError):
    """A pipeline cannot be written as SQL; the message names the step, its class and what is supported."""


SUPPORTED = (
    "SimpleImputer, StandardScaler, MinMaxScaler, OneHotEncoder, OrdinalEncoder, passthrough and drop, inside "
    "Pipelines and ColumnTransformers, FunctionTransformer(numpy.log1p) before a regression, and then a binary "
    "LogisticRegression, HistGradientBoostingClassifier, "
    "GradientBoostingClassifier, RandomForestClassifier or DummyClassifier(strategy='prior')"
)


def refusal(step: str, thing: object, why: str) -> UnsupportedPipelineError:
    """Return the error for one step: its name, its class, and why it cannot be written as SQL."""
    return UnsupportedPipelineError(
        f"Step {step!r} ({type(thing).__name__}) cannot be written as SQL: {why}. Supported are {SUPPORTED}. "
        "Such a model is scored by scikit-learn."
    )
