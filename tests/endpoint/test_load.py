"""Under load, while versions are promoted and the process is killed: no wrong answer, none of two versions."""

import http.client
import json
import multiprocessing
import threading
import time

import pytest
from shops import serve_home, vectors

from tools.postgres import free_port

pytestmark = pytest.mark.slow(minutes=2)

ROUNDS = 6
ASKERS = 3


class Load:
    """Programs that ask without a pause, and what they were told."""

    def __init__(self, port, shop):
        self.port, self.done = port, threading.Event()
        self.rows = vectors(shop.newest[:20])
        self.wanted = {number: shop.scored(number) for number in (1, 2)}
        self.wrong, self.seen, self.lost = [], {1: 0, 2: 0}, 0
        self.bad = json.dumps({"rows": [{"recency_days": "x"}, 1, *self.rows[:1]]})

    def run(self):
        place = 0
        while not self.done.is_set():
            place += 1
            try:
                self.ask(place)
            except (OSError, http.client.HTTPException):
                # The process is being killed or started: whoever asks asks again.
                self.lost += 1
                time.sleep(0.05)

    def ask(self, place):
        row = self.rows[place % len(self.rows)]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            for method, path, body in (
                ("GET", f"/problems/lapse/customers/{row['customer_id']}", None),
                ("POST", "/problems/lapse/score", json.dumps({"rows": self.rows})),
                ("POST", "/problems/lapse/score", self.bad),
                ("GET", "/problems/lapse/customers/nobody", None),
            ):
                connection.request(method, path, body)
                answer = connection.getresponse()
                self.judge(answer.status, json.loads(answer.read()), row)
        finally:
            connection.close()

    def judge(self, status, said, row):
        if status == 503 and "Nothing was looked for yet" in said["error"]:
            return
        if status == 404 and said["status"] == "unknown":
            return
        answers = said.get("rows", [said]) if status == 200 else None
        if answers is None or len(answers) not in (1, 3, len(self.rows)):
            self.wrong.append((status, said))
            return
        if len(answers) == 3:
            if not ("errors" in answers[0] and "errors" in answers[1] and "score" in answers[2]):
                self.wrong.append(said)
            answers = answers[2:]
        scores = self.wanted[said["model_version"]]
        if any(abs(one["score"] - scores[one["customer_id"]]) > 1e-9 for one in answers):
            self.wrong.append(said)
        self.seen[said["model_version"]] += 1


def test_under_load_kills_and_promotions_leave_no_wrong_answer(shop, tmp_path):
    port, spawning = free_port(), multiprocessing.get_context("spawn")
    shop.promote(1)
    load = Load(port, shop)

    def started():
        process = spawning.Process(target=serve_home, args=(tmp_path, port), daemon=True)
        process.start()
        return process

    def until_seen(version, more=20):
        """Wait until so many more answers came from a version."""
        wanted, deadline = load.seen[version] + more, time.monotonic() + 120
        while load.seen[version] < wanted and not load.wrong:
            assert time.monotonic() < deadline, f"version {version} does not answer: {load.seen}"
            time.sleep(0.05)

    process = started()
    askers = [threading.Thread(target=load.run) for _ in range(ASKERS)]
    for one in askers:
        one.start()
    try:
        until_seen(1)
        for number in range(ROUNDS):
            version = 2 - number % 2
            if number % 3 == 1:
                process.kill()
                process.join()
                # Published while nobody serves: the next process begins with it.
                shop.promote(version)
                process = started()
            else:
                shop.promote(version)
            until_seen(version)
        # What is damaged is not taken over, and what is held goes on.
        shop.keeper.file.chmod(0o600)
        shop.keeper.file.write_bytes(b"damaged")
        until_seen(version)
    finally:
        load.done.set()
        for one in askers:
            one.join()
        process.kill()
        process.join()
    assert load.wrong == []
    assert load.lost > 0, "nobody noticed that the process was killed"
