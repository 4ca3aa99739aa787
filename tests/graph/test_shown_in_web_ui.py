"""What an asset's page in the web UI shows: pictures where they stand, the version to open, groups as schemas."""

import dagster as dg
import pytest

from assets.reporting import INLINE, at_a_glance, in_mlflow
from ml_models.thumbnails import thumbnail
from resources.model_page import ModelPageError, checked_address
from steps.tables import CANDIDATE, CHAMPION, MODEL_CARD, PERFORMANCE, PREDICTIONS


def shown(baton, key: dg.AssetKey) -> dict[str, object]:
    [made] = [one for one in baton.result.get_asset_materialization_events() if one.asset_key == key]
    return {name: one.value for name, one in made.step_materialization_data.materialization.metadata.items()}


@pytest.mark.parametrize("key", [CANDIDATE, CHAMPION, PREDICTIONS, MODEL_CARD], ids=lambda key: key.path[-1])
def test_whatever_a_version_made_says_how_to_open_it_in_mlflow(baton, key):
    page = shown(baton, key)
    assert page["in_mlflow"] == f"make mlflow, then version {page['model_version']} of lapse"


def test_the_link_leads_to_the_version_where_mlflow_is_served(baton):
    served = baton.resources["registry"].model_copy(update={"tracking_uri": "https://me:secret@mlflow.example.com/ml"})
    link = in_mlflow(served, 3)["in_mlflow"]
    assert isinstance(link, dg.UrlMetadataValue)
    assert link.value == "https://mlflow.example.com/ml/#/models/lapse/versions/3"
    elsewhere = served.model_copy(update={"ui": "http://127.0.0.1:5000"})
    assert in_mlflow(elsewhere, 3)["in_mlflow"].value == "http://127.0.0.1:5000/#/models/lapse/versions/3"


def test_an_address_that_no_browser_opens_is_refused():
    assert checked_address("https://mlflow.example.com/") == "https://mlflow.example.com"
    with pytest.raises(ModelPageError, match="Expected the http or https address .* in BATON_MLFLOW_UI, got 'mlflow'"):
        checked_address("mlflow")


def test_pictures_are_drawn_where_they_stand_not_behind_a_link(baton):
    pages = [shown(baton, CANDIDATE), shown(baton, PERFORMANCE)]
    inline = [page["at_a_glance"] for page in pages if "at_a_glance" in page]
    assert inline
    assert all("data:image/png;base64," in one and len(one) < INLINE for one in inline)


def test_the_longest_words_give_way_to_the_picture():
    lines = [[float(place % 7) for place in range(60)], [float(place % 5) for place in range(60)]]
    said = at_a_glance(lines, "x" * 400)["at_a_glance"].value
    assert "data:image/png;base64," in said
    assert len(said) < INLINE
    assert len(thumbnail(lines)) < INLINE


def test_a_group_is_called_like_the_schema_of_its_tables(baton):
    graph = baton.definitions.resolve_asset_graph()
    made = [graph.get(key) for key in graph.materializable_asset_keys]
    assert len(made) > 40
    assert {"/".join(node.key.path): node.group_name for node in made if node.group_name != node.key.path[0]} == {}
