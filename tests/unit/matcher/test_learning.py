"""The learner on behaviour whose truth is known."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from eros_matcher.features.model import BrokenModelError, by_hand, encode, parse
from eros_matcher.learning.calibrate import both_ways, match_probability
from eros_matcher.learning.course import Course, learn, parts_of
from eros_matcher.learning.design import Behaviour, Design, finite
from eros_matcher.learning.learned import Learned, vectors

SEED = 5


@dataclasses.dataclass(frozen=True)
class World:
    design: Design
    behaviour: Behaviour
    logits: np.ndarray
    """(n, n) the truth."""


def a_world(people: int = 160, each: int = 60, hidden: int = 2, seed: int = 3) -> World:
    """People with biases, a taste for what profiles say, and a hidden taste for `hidden` things."""
    random = np.random.default_rng(seed)
    bias = random.normal(size=(people, 2)).astype(np.float32)
    taste = random.normal(size=(people, 3)).astype(np.float32)
    design = Design(bias, taste, taste, np.zeros(3, dtype=np.int32))
    own, others = random.normal(0, 0.8, people), random.normal(0, 0.8, people)
    u, v = random.normal(0, 1.2, (people, hidden)), random.normal(0, 1.2, (people, hidden))
    logits = -0.5 + (bias[:, 0] * 0.5 + own)[:, None] + bias[:, 1] * 0.7 + others
    logits = logits + 0.5 * taste @ taste.T + u @ v.T
    chooser = np.repeat(np.arange(people), each).astype(np.int32)
    chosen = np.concatenate(
        [random.permutation(np.delete(np.arange(people), i))[:each] for i in range(people)]
    ).astype(np.int32)
    likely = 1 / (1 + np.exp(-logits[chooser, chosen]))
    liked = (random.random(len(likely)) < likely).astype(float)
    return World(design, Behaviour(chooser, chosen, liked, np.ones(len(liked))), logits)


def correlation(world: World, learned: Learned) -> float:
    """With the truth, over pairs that were never seen."""
    found = vectors(world.design, learned)
    seen = np.zeros(world.logits.shape, dtype=bool)
    seen[world.behaviour.chooser, world.behaviour.chosen] = True
    np.fill_diagonal(seen, val=True)
    chooser, chosen = (side.astype(np.int32) for side in np.nonzero(~seen))
    return float(np.corrcoef(found.logits(chooser, chosen), world.logits[chooser, chosen])[0, 1])


def test_what_people_hide_is_learned_from_what_they_do() -> None:
    world = a_world()
    with_latent = learn(world.design, world.behaviour, seed=SEED, latent=4)
    without = learn(world.design, world.behaviour, seed=SEED, latent=0)
    assert correlation(world, with_latent) > 0.85
    assert correlation(world, with_latent) > correlation(world, without) + 0.1


def test_noise_teaches_no_hidden_taste() -> None:
    world = a_world(hidden=0)
    learned = learn(world.design, world.behaviour, seed=SEED, latent=4)
    assert learned.spread.taste * learned.spread.trait < 0.01
    assert correlation(world, learned) > 0.93


def test_the_same_seed_learns_the_same_bits_and_another_start_does_not_matter_much() -> None:
    world = a_world(people=60, each=20)
    one, two = (learn(world.design, world.behaviour, seed=SEED, latent=2) for _ in range(2))
    assert one.own.tobytes() == two.own.tobytes()
    assert one.theta.tobytes() == two.theta.tobytes()
    warm = learn(world.design, world.behaviour, seed=SEED, latent=2, start=one)
    assert correlation(world, warm) == pytest.approx(correlation(world, one), abs=0.03)


def test_probabilities_can_be_counted_on() -> None:
    world = a_world(hidden=0)
    found = vectors(world.design, learn(world.design, world.behaviour, seed=SEED, latent=2))
    seen = set(zip(world.behaviour.chooser.tolist(), world.behaviour.chosen.tolist(), strict=True))
    pairs = [(u, v) for u in range(160) for v in range(160) if u != v and (u, v) not in seen]
    u, v = (np.array(side, dtype=np.int32) for side in zip(*pairs, strict=True))
    said = 1 / (1 + np.exp(-found.logits(u, v)))
    true = 1 / (1 + np.exp(-world.logits[u, v]))
    for low in (0.1, 0.3, 0.5, 0.7):
        here = (said >= low) & (said < low + 0.2)
        assert float(said[here].mean()) == pytest.approx(float(true[here].mean()), abs=0.05)


def test_a_person_who_never_acted_is_what_the_profile_says() -> None:
    world = a_world(people=60, each=20)
    acted = world.behaviour.only((world.behaviour.chooser != 7) & (world.behaviour.chosen != 7))
    learned = learn(world.design, acted, seed=SEED, latent=2)
    assert learned.own[7, 0] == 0
    assert learned.others[7, 0] == 0
    inputs = np.concatenate([world.design.bias[7], world.design.trait[7]])
    np.testing.assert_allclose(learned.own[7, 1:], inputs @ learned.tower_taste, atol=1e-5)


@pytest.mark.parametrize("share", [0.02, 0.35, 0.98])
def test_people_who_are_all_alike_do_not_drive_the_weights_away(share: float) -> None:
    """As in a new town: what profiles say of them moves everybody's logit at once, far from what
    they do, so that a step is where nearly all are certain, and wrong."""
    random = np.random.default_rng(SEED)
    people, seen = 60, 234
    half = np.arange(people) % 2
    bias = np.stack([np.ones(people), half, 1 - half], axis=1).astype(np.float32)
    alike = np.ones((people, 5), dtype=np.float32)
    design = Design(bias, alike, alike, np.arange(5, dtype=np.int32))
    chooser = random.integers(0, people, seen)
    chosen = (chooser + 1 + 2 * random.integers(0, people // 2, seen)) % people
    liked = (random.random(seen) < share).astype(float)
    behaviour = Behaviour(chooser.astype(np.int32), chosen.astype(np.int32), liked, np.ones(seen))
    prior = np.array([2.2, 0.5, 0.3, 0.2, 0.8])
    course = Course(design, behaviour, seed=SEED, latent=8, prior=prior)
    while not course.step():
        pass
    logits = vectors(design, course.learned).logits(behaviour.chooser, behaviour.chosen)
    assert np.abs(logits).max() < 20
    said = float((1 / (1 + np.exp(-logits))).mean())
    assert said == pytest.approx(float(liked.mean()), abs=0.05)
    assert np.abs(course.learned.base) < 20


@pytest.mark.parametrize(
    "wrong", [{"base": -9e8}, {"attracts": (1e4, *by_hand().attracts[1:])}, {"mutual": 1e9}]
)
def test_a_model_beyond_all_measure_is_none(wrong: dict[str, Any]) -> None:
    assert parse(encode(by_hand())) == by_hand()
    with pytest.raises(BrokenModelError):
        parse(encode(dataclasses.replace(by_hand(), **wrong)))


def test_nothing_to_learn_from_is_no_fault() -> None:
    world = a_world(people=10, each=3)
    nobody = world.behaviour.only(np.zeros(len(world.behaviour), dtype=bool))
    learned = learn(world.design, nobody, seed=SEED, latent=2)
    assert np.isfinite(vectors(world.design, learned).selectivity).all()


def test_both_decisions_of_a_pair_are_held_out_together() -> None:
    behaviour = a_world(people=40, each=30).behaviour
    parts = parts_of(behaviour, SEED)
    there, back = both_ways(behaviour.chooser, behaviour.chosen)
    assert len(there) > 100
    assert (behaviour.chooser[there] == behaviour.chosen[back]).all()
    assert (parts[there] == parts[back]).all()
    assert (np.bincount(parts, minlength=5) > len(parts) / 10).all()


def test_mutual_interest_is_found_where_it_is() -> None:
    world = a_world(people=120, each=119, hidden=0)
    random = np.random.default_rng(1)
    a, b = world.logits, world.logits.T
    both = match_probability(a, b, 0.8)
    alone, other = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))
    says = np.zeros(a.shape)
    for u in range(120):
        for v in range(u + 1, 120):
            odds = [both[u, v], alone[u, v] - both[u, v], other[u, v] - both[u, v]]
            case = random.choice(4, p=[*odds, 1 - sum(odds)])
            says[u, v], says[v, u] = case in (0, 1), case in (0, 2)
    behaviour = world.behaviour
    mutual = dataclasses.replace(behaviour, liked=says[behaviour.chooser, behaviour.chosen])
    assert learn(world.design, mutual, seed=SEED, latent=0).mutual > 0.4
    assert learn(world.design, behaviour, seed=SEED, latent=0).mutual < 0.3


def test_a_course_in_small_steps_ends_where_a_resumed_one_does() -> None:
    world = a_world(people=60, each=20)
    whole = Course(world.design, world.behaviour, seed=SEED, latent=2)
    for _ in range(77):
        whole.step()
    resumed = Course(world.design, world.behaviour, seed=SEED, latent=2)
    resumed.load(whole.state())
    while not whole.step():
        pass
    while not resumed.step():
        pass
    assert whole.learned.own.tobytes() == resumed.learned.own.tobytes()
    assert whole.calibration == resumed.calibration


def test_what_is_no_number_counts_as_missing() -> None:
    values, broken = finite([1.0, float("nan"), float("inf")])
    assert values.tolist() == [1.0, 0.0, 0.0]
    assert broken == 2
