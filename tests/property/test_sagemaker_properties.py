"""Facts, fingerprints and differences of deployments, for anything that may be configured."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from support.any_text import text

from collector.sagemaker.diff import steps
from collector.sagemaker.facts import environment
from collector.sagemaker.snapshot import Role, Snapshot, Unit, from_document, to_document

TEXTS = text(max_size=20)
PATHS = st.sampled_from(
    ["config.InstanceType", "config.RoutingConfig.RoutingStrategy", "image[0]", "image_tag[0]",
     "model[0].env.OPTION_QUANTIZE", "model[0].ModelDataUrl", "config.Unknown"]
)  # fmt: skip
UNITS = st.builds(
    Unit,
    name=st.sampled_from(["blue", "green", "ic:a"]),
    role=st.sampled_from(list(Role)),
    facts=st.dictionaries(PATHS, TEXTS),
    capacity=st.dictionaries(st.just("config.InitialInstanceCount"), st.just("3")),
)
SNAPSHOTS = st.builds(
    Snapshot,
    name=st.just("chat"), status=st.just("InService"), config=TEXTS, modified=st.floats(0, 2e9),
    units=st.lists(UNITS, max_size=3, unique_by=lambda unit: unit.name).map(tuple),
)  # fmt: skip


@given(SNAPSHOTS)
def test_a_snapshot_comes_back_from_its_document_and_differs_in_nothing_from_itself(snapshot):
    assert from_document(to_document(snapshot)) == snapshot
    assert from_document(to_document(snapshot)).fingerprint == snapshot.fingerprint
    assert steps(snapshot, snapshot) == []


@given(SNAPSHOTS, text(max_size=5))
def test_capacity_and_names_are_not_in_the_fingerprint(snapshot, count):
    other = [
        replace(unit, capacity={"config.InitialInstanceCount": count}, names={"model": count})
        for unit in snapshot.units
    ]
    scaled = replace(snapshot, units=tuple(other), config=count, modified=1.0)
    assert scaled.fingerprint == snapshot.fingerprint
    assert all(not step.moved for step in steps(snapshot, scaled))


@given(SNAPSHOTS, SNAPSHOTS)
def test_what_moved_is_different_and_equal_fingerprints_move_nothing(before, after):
    for step in steps(before, after):
        assert all(one.before != one.after for one in (*step.moved, *step.covariates))
    if before.fingerprint == after.fingerprint:
        assert all(not step.moved for step in steps(before, after))


@given(st.dictionaries(text(min_size=1, max_size=12), text(min_size=6, max_size=40)), TEXTS)
def test_values_of_the_environment_are_clear_only_where_their_keys_are_listed(values, salt):
    for (path, shown), key in zip(
        environment("e", values, salt).items(), sorted(values), strict=False
    ):
        listed = key.startswith(("OPTION_", "VLLM_", "SM_", "TENSOR_")) or "QUANT" in key
        assert listed or (shown.startswith("sha256:") and values[key] not in shown), path
