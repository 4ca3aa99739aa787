"""What a registered model takes and gives, as MLflow keeps it beside the file: columns with types, and a shape."""

import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline


def signature_of(pipeline: "Pipeline", example: "pd.DataFrame | None") -> Any:
    """Return the signature of a fitted pipeline, read off rows of its features; None without rows."""
    if example is None or example.empty:
        return None
    from mlflow.models import infer_signature

    with warnings.catch_warnings():
        # Whole numbers without nulls stay so: the feature frame's schema promises it.
        warnings.filterwarnings("ignore", message=".*integer column.*")
        predict = pipeline.predict_proba if hasattr(pipeline, "predict_proba") else pipeline.predict
        return infer_signature(example, predict(example))


def signature_in_words(uri: str) -> str:
    """Return what the model at an MLflow address takes and gives; empty where it was registered without a signature."""
    from mlflow.models import get_model_info

    signature = get_model_info(uri).signature
    if signature is None or signature.inputs is None:
        return ""
    # An amount is one number a row; of probabilities there are two.
    both = signature.outputs is not None and signature.outputs.inputs[0].shape == (-1, 2)
    gives = "the probabilities of both outcomes" if both else "an amount"
    return f"takes {len(signature.inputs.inputs)} columns; gives {gives}, a row each"
