"""The evaluation itself: what it may read, how it cuts, what its figures mean."""

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

import numpy as np
import pytest

from bench._speed_dating import congestion, data, evaluate
from bench._speed_dating.features import design_of
from bench._speed_dating.metrics import auc, average_precision, by_person
from bench._speed_dating.splits import Split, folds_of


def write_evenings(path: Path, sizes: tuple[int, ...], spoil: str = "") -> None:
    """A file of the same form; `spoil` fills whatever was rated afterwards."""
    random = Random(4)
    ratings = ("attr", "like", "prob", "attr_o", "match_es", "attr1_2", "attr1_s")
    columns = [*data.SURVEY, "iid", "pid", "wave", "order", "dec", "samerace", *ratings]
    rows: list[dict[str, object]] = []
    first = 1
    for wave, size in enumerate(sizes, 1):
        people = {
            person: {name: random.choice(("", "1", "3", "7")) for name in data.SURVEY}
            for person in range(first, first + 2 * size)
        }
        for person, survey in people.items():
            survey |= {"gender": str(int(person >= first + size)), "round": str(size)}
        women = range(first, first + size)
        for woman in women:
            for man in range(first + size, first + 2 * size):
                for iid, pid in ((woman, man), (man, woman)):
                    order = 1 + (woman + man) % size
                    rows.append(
                        {**dict.fromkeys(ratings, spoil), **people[iid], "iid": iid, "pid": pid}
                        | {"wave": wave, "order": order, "samerace": random.choice("01")}
                        | {"dec": random.choice("01")}
                    )
        first += 2 * size
    rows.append({**rows[0], "pid": ""})
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def test_nothing_rated_during_or_after_an_evening_is_read() -> None:
    later = ("attr", "sinc", "intel", "fun", "amb", "shar", "like", "prob", "met", "match_es")
    never = {*later, *(f"{name}_o" for name in later), "positin1", "order", "samerace"}
    never |= {"race", "imprace", "imprelig", "income", "dec", "dec_o", "match"}
    assert not never & set(data.SURVEY)
    assert not [name for name in data.SURVEY if name.endswith(("_s", "_2", "_3"))]


def test_ratings_of_the_evening_change_no_figure(tmp_path: Path) -> None:
    for spoil in ("1", "9"):
        write_evenings(tmp_path / spoil, (6, 6, 7), spoil)
    figures = [
        evaluate.run(tmp_path / spoil, Split.COLD)["methods"]["eros"] for spoil in ("1", "9")
    ]
    assert figures[0] == figures[1]
    # Decisions here are coin tosses: whoever could tell them would have seen them.
    assert 0.3 < figures[0]["decision_auc"]["mean"] < 0.7


@pytest.mark.parametrize("split", list(Split))
def test_no_pair_is_on_both_sides(tmp_path: Path, split: Split) -> None:
    write_evenings(tmp_path / "file", (5, 8))
    evenings = data.read(tmp_path / "file")
    assert evenings.dropped == 1
    folds = list(folds_of(evenings, split))
    tested = np.sum([fold.test for fold in folds], axis=0)
    assert tested.max() == 1
    for fold in folds:
        assert not (fold.train & fold.test).any()
        if split is Split.COLD:
            assert not set(evenings.pair_wave[fold.train]) & set(evenings.pair_wave[fold.test])
        if split is Split.TIME:
            assert evenings.place[fold.train].max() < evenings.place[fold.test].min()


def test_answers_of_people_not_learned_from_set_no_scale(tmp_path: Path) -> None:
    write_evenings(tmp_path / "file", (5, 8))
    evenings = data.read(tmp_path / "file")
    known = evenings.wave == 1
    before = design_of(evenings, known).bias[known]
    evenings.survey["age"][~known] = 99
    assert (design_of(evenings, known).bias[known] == before).all()


def test_one_evening_alone_is_enough_for_the_command(tmp_path: Path) -> None:
    write_evenings(tmp_path / "file", (6,))
    assert evaluate.run(tmp_path / "file", Split.COLD)["folds"] == 0
    assert evaluate.run(tmp_path / "file", Split.WARM)["folds"] == 5
    assert congestion.run(tmp_path / "file")["all"]["evenings"] == 0


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a,b\n1,2\n")
    with pytest.raises(data.UnreadableFileError, match="columns missing"):
        data.read(tmp_path / "file")


def test_metrics() -> None:
    truth = np.array([True, False, True, False])
    assert auc(truth, np.array([0.9, 0.1, 0.8, 0.2])) == 1.0
    assert auc(truth, np.zeros(4)) == 0.5
    assert auc(np.ones(4, dtype=bool), np.zeros(4)) is None
    assert average_precision(truth, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(5 / 6)
    assert average_precision(truth, np.zeros(4)) == 0.5
    people = np.array([1, 1, 2, 2], dtype=np.int32)
    assert by_person(people, truth, np.array([0.9, 0.1, 0.1, 0.9]))[0] == 0.5
