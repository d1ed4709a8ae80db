"""`shufflecam schemes`."""

import json

from scrambler import list_schemes


def test_the_table_lists_every_scheme_and_calls_broken_what_is_broken(run) -> None:
    typed = run("schemes")
    assert typed.status == 0
    lines = typed.out.splitlines()
    for name in list_schemes():
        assert any(line.startswith(f"{name} ") for line in lines), name
    row = next(line for line in lines if line.startswith("mmt "))
    assert "broken" in row
    assert "1.0 from 100" in " ".join(typed.out.split())


def test_json_holds_the_whole_card_of_each(run) -> None:
    cards = [json.loads(line) for line in run("schemes", "--json").out.splitlines()]
    assert [card["name"] for card in cards] == list_schemes()
    mat = next(card for card in cards if card["name"] == "mat")
    assert "91.361" in mat["accuracy"]
    assert mat["parameters"]["max_add"].startswith("256")
    assert all(card["strength"] and card["attacks"] and card["network"] for card in cards)
