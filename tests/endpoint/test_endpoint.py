"""Programs get scores with version and age, a sentence for what is wrong with a row, and no dropped request."""

import http.client
import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, date, datetime

import pytest
from shops import RULES, serving, vectors
from support.bundled import CATALOGUE, FEATURES, PROBLEM

from endpoint.api import MOST_ROWS
from endpoint.limits import MOST_BYTES
from ml_models.problems.lapse.frame import frame_schema
from ml_models.validation import validate_frame
from ml_models.vectors import judged


def test_a_customer_s_score_comes_with_its_reasons_its_version_and_its_age(client, shop):
    known, score = next(iter(shop.scored(1).items()))
    answer = client.get(f"/problems/lapse/customers/{known}")
    assert answer.status_code == 200
    assert answer.json() == {
        "customer_id": known,
        "status": "fresh",
        "score": pytest.approx(score, abs=1e-12),
        "reasons": ["away for long"],
        "model_version": 1,
        "trained_through": "2017-03-27",
        "cutoff": "2017-04-10",
        "published_at": "2017-04-10T06:00:00+00:00",
        "features_age_days": 3,
    }


def test_nobody_s_name_is_a_404_that_says_who_is_known(client):
    answer = client.get("/problems/lapse/customers/a/b?c=d")
    assert answer.status_code == 404
    assert answer.json()["status"] == "unknown"
    assert "Nobody called 'a/b' is among the" in answer.json()["error"]
    assert answer.json()["model_version"] == 1
    assert client.get("/problems/churn/customers/c1").status_code == 404


def test_what_is_old_is_flagged_or_where_that_is_wished_refused(client, shop):
    known = next(iter(shop.scored(1)))
    shop.now = datetime(2017, 4, 19, tzinfo=UTC)
    assert client.get(f"/problems/lapse/customers/{known}").json()["status"] == "stale"
    refused = shop.client(refuse_stale=True).get(f"/problems/lapse/customers/{known}")
    assert refused.status_code == 409
    assert "is 9 days old, and the model has seen nothing older than 8" in refused.json()["error"]
    later = shop.client(refuse_stale=True, stale_after_days=9).get(f"/problems/lapse/customers/{known}")
    assert later.json()["status"] == "fresh"


def test_vectors_get_the_score_that_the_model_gives_them_and_that_the_table_has(client, shop):
    answer = client.post("/problems/lapse/score", json={"rows": vectors(shop.newest)}).json()
    assert answer["model_version"] == 1
    scores = {row["customer_id"]: row["score"] for row in answer["rows"]}
    assert scores == pytest.approx(shop.scored(1), abs=1e-9)
    assert not any({"warnings", "errors"} & set(row) for row in answer["rows"])
    [first] = client.post("/problems/lapse/score?reasons=true", json={"rows": vectors(shop.newest[:1])}).json()["rows"]
    assert isinstance(first["reasons"], list)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recency_days": None}, "Expected recency_days to be a whole number from 1 to 28, and it is null."),
        ({"recency_days": "3"}, "and it is a text: '3'."),
        ({"recency_days": True}, "and it is a truth value: True."),
        ({"recency_days": 2.5}, "and it is 2.5."),
        ({"recency_days": 29}, "and it is 29."),
        ({"recency_days": [3]}, "and it is a list: [3]."),
        ({"recency_days": 10**400}, "to be a whole number from 1 to 28"),
        ({"trips_84d": 10**17}, "Expected trips_84d to be a whole number"),
        ({"trips_7d": 5, "trips_14d": 1}, "Expected the features to agree (trip windows nest)"),
        ({"favourite_colour": 1}, "Expected features of this problem only, and favourite_colour is none."),
    ],
)
def test_what_is_wrong_with_one_vector_is_told_for_it_and_the_rest_is_answered(client, shop, change, said):
    rows = vectors(shop.newest[:3])
    rows[1] |= change
    body = json.dumps({"rows": rows})
    if 10**400 in change.values():
        # JSON knows no largest number, most readers of it do: then the whole text is none.
        assert client.post("/problems/lapse/score", content=body).status_code == 400
        return
    answer = client.post("/problems/lapse/score", content=body)
    assert answer.status_code == 200
    first, wrong, last = answer.json()["rows"]
    assert 0 < first["score"] < 1
    assert 0 < last["score"] < 1
    assert "score" not in wrong
    assert said in " ".join(wrong["errors"])
    assert wrong["customer_id"] == rows[1]["customer_id"]


def test_a_missing_feature_is_named_and_one_that_may_be_null_may_be_left_out(client, shop):
    rows = vectors(shop.newest[:2])
    nullable = next(name for name, one in CATALOGUE.items() if one.nullable and shop.newest[name].isna().any())
    lone = vectors(shop.newest[shop.newest[nullable].isna()][:1])[0]
    del rows[0]["recency_days"], lone[nullable]
    wrong, right, without = client.post("/problems/lapse/score", json={"rows": [*rows, lone]}).json()["rows"]
    assert wrong["errors"] == [f"Expected all {len(FEATURES)} features, and recency_days is missing."]
    assert "score" in right
    assert "score" in without


def test_a_value_that_the_model_has_never_seen_is_warned_of_and_scored(client, shop):
    row = vectors(shop.newest[:1])[0]
    most = int(shop.frame["days_since_first_seen_84d"].max())
    row["spend_slope_cents_a_week_84d" if "spend_slope_cents_a_week_84d" in row else "discount_rate_84d"] = 0.999999
    [answer] = client.post("/problems/lapse/score", json={"rows": [row]}).json()["rows"]
    assert "score" in answer
    assert any("the model has seen" in said for said in answer["warnings"]), most


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Expected JSON"),
        (b"{", "Expected JSON"),
        (b'{"rows": [{"recency_days": NaN}]}', "Expected JSON"),
        (b'{"rows": [{"recency_days": 1e999}]}', ""),
        (b"[1]", "Expected an object with a list of vectors"),
        (b'{"rows": {"recency_days": 3}}', "Expected an object with a list of vectors"),
        (b"\xff\xfe", "Expected JSON"),
    ],
)
def test_what_is_no_list_of_vectors_is_a_400_with_an_example(client, body, said):
    answer = client.post("/problems/lapse/score", content=body, headers={"Content-Type": ""})
    if answer.status_code == 200:
        assert "errors" in answer.json()["rows"][0], "an infinite value is no score"
        return
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert '{"rows": [' in answer.json()["error"]


def test_no_vectors_are_no_answers_and_too_many_are_refused(client):
    assert client.post("/problems/lapse/score", json={"rows": []}).json()["rows"] == []
    answer = client.post("/problems/lapse/score", json={"rows": [0] * (MOST_ROWS + 1)})
    assert answer.status_code == 413
    assert "Send them in parts" in answer.json()["error"]


def test_a_body_of_fifty_megabytes_is_refused_before_it_is_read(client):
    announced = client.post("/problems/lapse/score", content=b"x" * (50 * 1024**2))
    unannounced = client.post("/problems/lapse/score", content=(b"x" * 1024**2 for _ in range(50)))
    for answer in (announced, unannounced):
        assert answer.status_code == 413
        assert f"at most {MOST_BYTES // 1024**2} MiB" in answer.json()["error"]


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("megabytes", [17, 50])
def test_whoever_sends_too_much_on_a_connection_that_then_ends_reads_the_answer(shop, announced, megabytes):
    """Not a broken pipe: a server that closes while somebody still sends takes its own answer away."""
    part = b"x" * 1024**2
    shop.promote(1)
    with serving(shop) as port:
        while shop.keeper.held is None:
            time.sleep(0.05)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Connection": "close"} | ({"Content-Length": str(megabytes * len(part))} if announced else {})
        body = (part for _ in range(megabytes))
        connection.request("POST", "/problems/lapse/score", body, headers, encode_chunked=not announced)
        answer = connection.getresponse()
        assert answer.status == 413
        assert f"at most {MOST_BYTES // 1024**2} MiB" in json.loads(answer.read())["error"]
        assert json.loads(urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()) == {"status": "ok"}


def test_an_answer_that_needs_no_body_is_read_by_whoever_still_sends_one(shop):
    body = b"x" * (8 * 1024**2)
    with serving(shop) as port:
        for path, status in (("/problems/lapse/score", 503), ("/nowhere", 404), ("/health", 405)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", path, body, {"Connection": "close"})
            answer = connection.getresponse()
            assert answer.status == status
            assert json.loads(answer.read())["error"]


def test_before_anything_is_published_it_lives_and_says_what_is_missing(shop):
    client = shop.client()
    shop.keeper.look()
    assert client.get("/health").json() == {"status": "ok"}
    for answer in (client.get("/ready"), client.get("/problems/lapse/customers/c1")):
        assert answer.status_code == 503
        assert "none was published yet" in answer.json()["error"]


def test_a_promotion_is_taken_over_and_a_model_that_will_not_load_is_a_sentence(client, shop):
    row = vectors(shop.newest[:1])
    shop.promote(2)
    assert shop.keeper.look()
    assert client.post("/problems/lapse/score", json={"rows": row}).json()["model_version"] == 2
    shop.lost = {3}
    shop.pipelines = {**shop.pipelines, 3: shop.pipelines[1]}
    shop.promote(3)
    shop.keeper.look()
    answer = client.post("/problems/lapse/score", json={"rows": row})
    assert answer.status_code == 503
    assert "Expected the files of version 3, and they are gone." in answer.json()["error"]
    # What is in the table needs no model.
    looked_up = client.get(f"/problems/lapse/customers/{row[0]['customer_id']}").json()
    assert (looked_up["status"], looked_up["model_version"]) == ("fresh", 3)
    assert client.get("/ready").json()["trouble"] == shop.said[-1]


def test_a_damaged_copy_leaves_what_is_held_and_is_told(client, shop):
    known = next(iter(shop.scored(1)))
    shop.keeper.file.chmod(0o600)
    shop.keeper.file.write_bytes(b"damaged")
    assert not shop.keeper.look()
    assert client.get(f"/problems/lapse/customers/{known}").status_code == 200
    assert "that can be read, and it cannot" in client.get("/ready").json()["trouble"]


def test_no_request_is_dropped_or_mixes_versions_while_versions_are_promoted(shop):
    shop.promote(1)
    shop.keeper.look()
    row, wrong, done = vectors(shop.newest[:1]), [], threading.Event()
    wanted = {number: shop.scored(number)[row[0]["customer_id"]] for number in (1, 2)}

    def ask(port):
        body = json.dumps({"rows": row}).encode()
        while not done.is_set():
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/problems/lapse/score", data=body)
                answer = json.loads(urllib.request.urlopen(request, timeout=30).read())
            except urllib.error.URLError as error:
                wrong.append(repr(error))
                return
            if abs(answer["rows"][0]["score"] - wanted[answer["model_version"]]) > 1e-9:
                wrong.append(answer)

    with serving(shop) as port:
        askers = [threading.Thread(target=ask, args=(port,)) for _ in range(2)]
        try:
            for one in askers:
                one.start()
            for number in (2, 1, 2):
                shop.promote(number)
                shop.keeper.look()
        finally:
            done.set()
            for one in askers:
                one.join()
    assert wrong == []


def test_what_it_answers_is_counted_and_its_document_names_every_address(client):
    client.get("/problems/lapse/customers/nobody")
    text = client.get("/metrics").text
    assert 'baton_requests_total{route="/problems/lapse/customers/{customer_id:path}",status="404"} 1.0' in text
    assert "baton_model_version 1.0" in text
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        *("/health", "/ready", "/metrics"),
        *("/problems/lapse/customers/{customer_id}", "/problems/lapse/score"),
    }


def test_vectors_are_right_exactly_where_the_frame_s_schema_says_so(frame):
    """Every bound, type and rule, broken one at a time: the two judges agree on each row."""
    rows = frame[frame["cutoff_date"] == frame["cutoff_date"].max()].reset_index(drop=True)[:1]
    schema = frame_schema(CATALOGUE, PROBLEM.question, [date(2017, 3, 27), date(2017, 4, 3), date(2017, 4, 10)])
    base, wrong = rows.drop(columns="lapsed"), 0
    values = itertools.cycle((None, -1.0, 0.0, 0.5, 1.0, 29.0, 1e6, float("inf"), 2.0))
    for name, feature in CATALOGUE.items():
        for value in itertools.islice(values, 1):
            changed = base.assign(**{name: [value]})
            if feature.dtype == "float64":
                changed[name] = changed[name].astype("float64")
            sent = [{one: _sent(changed[one].iloc[0]) for one in FEATURES}]
            by_schema = validate_frame(changed, schema).passed
            assert (len(judged(sent, CATALOGUE, RULES).frame) == 1) == by_schema, (name, value)
            wrong += not by_schema
    assert wrong > 20


def _sent(value):
    return None if value is None or value != value else float(value)
