"""The people EROS can be filled with."""

from __future__ import annotations

import zipfile
from itertools import islice
from pathlib import Path
from random import Random

import protovalidate
import pytest

from eros.accounts.v1 import profile_pb2
from eros_cli.population import demo, okcupid
from tests.support.real_data import okcupid_file

ROW = {
    "age": "22",
    "body_type": "fit",
    "diet": "mostly vegan",
    "drinks": "socially",
    "drugs": "never",
    "education": "working on masters program",
    "ethnicity": "white",
    "height": "70",
    "income": "20000",
    "job": "student",
    "offspring": "doesn&rsquo;t have kids, but might want them",
    "orientation": "bisexual",
    "pets": "likes dogs and has cats",
    "religion": "atheism",
    "sex": "f",
    "sign": "leo",
    "smokes": "no",
    "speaks": "english (fluently), french (poorly), c++",
    "status": "single",
}


def interests(profile: profile_pb2.UpdateProfileRequest) -> list[str]:
    return [value.string_value for value in profile.interests.values]


def test_the_same_seed_gives_the_same_people_whatever_their_number() -> None:
    assert list(demo.people(5, seed=7)) == list(islice(demo.people(50, seed=7), 5))
    assert list(demo.people(5, seed=7)) != list(demo.people(5, seed=8))


def test_every_demo_person_keeps_the_contract_and_is_in_the_market() -> None:
    for person in demo.people(300):
        protovalidate.validate(person)
        assert person.profile.preferences.genders
        assert len({*interests(person.profile)}) == 6


def test_a_row_is_mapped_and_nothing_sensitive_is_taken() -> None:
    profile = okcupid.profile(ROW, Random(1))
    assert (profile.gender, profile.age) == ("female", 22)
    assert list(profile.preferences.genders) == ["female", "male"]
    assert "178 cm" in profile.bio
    assert {"diet: vegan", "likes dogs", "has cats", "speaks english", "speaks c++"} <= {
        *interests(profile)
    }
    assert "speaks french" not in interests(profile)
    assert not any(word in str(profile) for word in ("atheism", "white", "20000"))


def test_noise_never_makes_anybody_a_minor() -> None:
    assert okcupid.profile(ROW | {"age": "17"}, Random(1)).age == 18


@pytest.mark.parametrize("broken", [{"sex": "x"}, {"age": "old"}, {"orientation": ""}])
def test_a_row_that_cannot_be_read_is_named(broken: dict[str, str]) -> None:
    with pytest.raises(okcupid.UnreadableFileError, match="cannot be read"):
        okcupid.profile(ROW | broken, Random(1))


def test_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(okcupid.UnreadableFileError, match="columns missing: age"):
        list(okcupid.people(other))
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w"):
        pass
    with pytest.raises(okcupid.UnreadableFileError, match="0 CSV files"):
        list(okcupid.people(empty))


def test_the_whole_real_file_keeps_the_contract() -> None:
    path = okcupid_file()
    count = 0
    for person in okcupid.people(path):
        if count % 50 == 0:
            protovalidate.validate(person)
            assert all(len(tag) <= 60 for tag in interests(person.profile))
            assert len(interests(person.profile)) <= 50
        count += 1
    assert count == 59_946
