"""Ids and chance: repeatable where seeded, unique and sorted where random."""

from hypothesis import given
from hypothesis import strategies as st

from tradecore.clocks.ids import RandomIds, SeededChance, SeededIds


class StillClock:
    """A wall clock that is stepped by hand."""

    virtual = False

    def __init__(self, now_ms):
        self.ms = now_ms

    def now_ms(self):
        return self.ms


@given(st.integers(0, 2**63), st.integers(1, 1000))
def test_seeded_ids_repeat_and_never_meet(seed, run_number):
    ids, again = SeededIds(seed, run_number), SeededIds(seed, run_number)
    first = [ids.new("intent") for _ in range(50)]
    assert first == [again.new("intent") for _ in range(50)]
    others = [ids.new("position") for _ in range(50)]
    next_run = [SeededIds(seed, run_number + 1).new("intent")]
    next_seed = [SeededIds(seed + 1, run_number).new("intent")]
    everything = first + others + next_run + next_seed
    assert len(set(everything)) == len(everything)
    assert all(len(one) == 26 and one.isalnum() for one in everything)


def test_another_kind_does_not_disturb_the_ids_of_one():
    alone, mixed = SeededIds(1, 1), SeededIds(1, 1)
    expected = [alone.new("intent") for _ in range(3)]
    got = []
    for _ in range(3):
        mixed.new("order")
        got.append(mixed.new("intent"))
    assert got == expected


def test_seeded_ids_are_the_same_on_every_machine():
    assert SeededIds(7, 1).new("intent") == "Q771B732RAWST9XA776HNPWJY3"


def test_random_ids_sort_by_time_and_rise_within_a_millisecond_and_when_the_clock_steps_back():
    clock = StillClock(1_735_689_600_000)
    ids = RandomIds(clock)
    made = [ids.new("intent") for _ in range(1_000)]
    clock.ms += 1
    made.append(ids.new("intent"))
    clock.ms -= 60_000
    made.append(ids.new("intent"))
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(len(one) == 26 for one in made)
    assert RandomIds(clock).new("intent") != RandomIds(clock).new("intent")


def test_generators_are_apart_by_purpose_and_repeatable():
    chance = SeededChance(3)
    a = chance.generator("faults")
    draws = [a.random() for _ in range(5)]
    chance.generator("latency").random()
    assert [chance.generator("faults").random() for _ in range(2)] == [draws[0]] * 2
    assert chance.generator("latency").random() != draws[0]
    assert SeededChance(4).generator("faults").random() != draws[0]
