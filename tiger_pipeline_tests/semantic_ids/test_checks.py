import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from tiger_pipeline.semantic_ids.checks import find_problems
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline_tests.semantic_ids.catalogs import semantic_id_tables

IDS = ["a", "b", "c"]
GOOD = SemanticIds.from_codes(IDS, np.int32([[0, 1], [2, 1], [0, 1]]), (3, 2))


@given(semantic_id_tables())
@settings(max_examples=25, deadline=None)
def test_resolved_codes_have_no_problem(semantic_ids):
    assert find_problems(semantic_ids, semantic_ids.item_ids.tolist()) == []


@pytest.mark.parametrize(
    ("broken", "embedded", "problem"),
    [
        (
            replace(GOOD, item_ids=np.array(["a", "b", "a"], object)),
            ["a", "b", "a"],
            "1 rows repeat",
        ),
        (GOOD, ["a", "b"], "3 semantic IDs for 2 embeddings"),
        (GOOD, ["a", "c", "b"], "Row 1 is item 'b', but the embedding of that row is of 'c'"),
        (replace(GOOD, suffixes=np.int32([0, 0, 0])), IDS, "1 items repeat another item's"),
        (replace(GOOD, suffixes=np.int32([0, -1, 1])), IDS, "1 suffixes are negative"),
        (
            replace(GOOD, codes=np.int32([[0, 1], [3, 1], [0, 1]])),
            IDS,
            r"1 codes of level 0 are outside 0…2, the first in row 1 \(3\)",
        ),
        (
            replace(GOOD, codes=np.int32([[0, 1], [2, -1], [0, -1]])),
            IDS,
            r"2 codes of level 1 are outside 0…1, the first in row 1 \(-1\)",
        ),
    ],
)
def test_each_problem_is_named_alone(broken, embedded, problem):
    problems = find_problems(broken, embedded)
    assert len(problems) == 1
    assert re.search(problem, problems[0])


def test_several_problems_are_all_named():
    broken = replace(GOOD, suffixes=np.int32([0, 0, 0]), codebook_sizes=(2, 2))
    assert len(find_problems(broken, ["a"])) == 3
