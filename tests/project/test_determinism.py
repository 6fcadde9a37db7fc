"""Nothing that the project lists or draws depends on the hash seed of the process."""


def test_families_and_policies_are_listed_in_one_order(same_in_every_process):
    program = "from edgewright.policies.registry import family_names, policies_of\nfor f in family_names(): print(f, *policies_of(f))"
    listed = same_in_every_process(program).splitlines()
    assert listed == sorted(listed)


def test_named_streams_draw_the_same(same_in_every_process):
    program = """
from edgewright.workloads.streams import Stream
stream = Stream(7, "cluster").child("arrivals")
print(stream.uniform(1), stream.uniforms(3, 2).tolist(), stream.generator(5).random())
"""
    assert len(same_in_every_process(program).split()) == 5


def test_a_dependence_on_the_hash_seed_would_be_seen(same_in_every_process):
    seen = None
    try:
        same_in_every_process("print(hash('edgewright'))")
    except AssertionError as error:
        seen = error
    assert seen is not None
