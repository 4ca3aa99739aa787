"""Messages are told apart whatever the blocks are in which they arrive."""

import json
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from resources.airbyte.protocol import Records, messages_of

NEWLINE_IN_A_STRING = json.dumps({"note": 'a\n{"type":"RECORD","record":{"stream":"orders","data":{'})


def record_line(stream: str, data: str, style: str) -> str:
    if style == "compact":
        return f'{{"type":"RECORD","record":{{"stream":"{stream}","data":{data},"emitted_at":1}}}}'
    if style == "spaced":
        return f'{{"type": "RECORD", "record": {{"stream": "{stream}", "data": {data}, "emitted_at": 1}}}}'
    if style == "namespace":
        return f'{{"type":"RECORD","record":{{"namespace":"a","stream":"{stream}","data":{data},"emitted_at":1}}}}'
    return f'{{"record":{{"emitted_at":1,"data":{data},"stream":"{stream}"}},"type":"RECORD"}}'


records = st.builds(
    record_line,
    st.sampled_from(["orders", "orders_old", "ä"]),
    st.sampled_from(['{"a":1}', "{}", NEWLINE_IN_A_STRING, '{"stream":"orders"}']),
    st.sampled_from(["compact", "compact", "compact", "spaced", "namespace", "turned round"]),
)
others = st.sampled_from(['{"type":"STATE","state":{}}', "plain noise", "", "[1]", '{"type":"RECORDING"}', "{broken"])


def expected(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict):
            kind = message["type"]
            yield (message["record"]["stream"], line) if kind == "RECORD" else ("", json.dumps(message))


@settings(max_examples=100, deadline=None)
@given(
    lines=st.lists(st.one_of(records, records, others), max_size=30),
    cuts=st.lists(st.integers(min_value=1, max_value=200), max_size=30),
    ends_with_newline=st.booleans(),
)
def test_every_message_arrives_once_and_in_order(lines: list[str], cuts: list[int], ends_with_newline: bool) -> None:
    sent = "\n".join(lines).encode() + (b"\n" if ends_with_newline else b"")
    blocks, start = [], 0
    for cut in cuts:
        blocks.append(sent[start : start + cut])
        start += cut
    blocks.append(sent[start:])

    arrived = []
    for message in messages_of(iter(blocks), lambda _level, _text: None):
        if isinstance(message, Records):
            assert message.lines.count(b"\n") == message.count
            arrived += [(message.stream, line) for line in message.lines.decode().splitlines() if line]
        elif message is not None:
            arrived.append(("", json.dumps(message)))
    # splitlines() also splits at characters that JSON leaves raw; none is used here.
    assert arrived == list(expected(lines))


def test_half_a_message_at_the_end_is_dropped_and_logged() -> None:
    logged: list[tuple[str, str]] = []
    block = record_line("orders", '{"a":1}', "compact").encode() + b'\n{"type":"RECORD","record":{"stream":"orders","da'
    found = list(messages_of(iter([block]), lambda level, said: logged.append((level, said))))
    assert [message.count for message in found if isinstance(message, Records)] == [1]
    assert [level for level, _ in logged] == ["WARN"]
