import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from tiger_pipeline.errors import ArtifactError, InputError
from tiger_pipeline.semantic_ids.table import SemanticIds
from tiger_pipeline.storage.tables import metadata_of, read_table, write_table
from tiger_pipeline_tests.semantic_ids.catalogs import random_semantic_ids, semantic_id_tables

CODES = np.int32([[0, 1], [2, 1], [0, 1], [2, 0]])
TABLE = SemanticIds.from_codes(["a", "b", "c", "d"], CODES, (3, 2))


def test_items_that_share_codes_need_a_suffix():
    assert TABLE.suffixes.tolist() == [0, 0, 1, 0]
    assert TABLE.needs_suffix.tolist() == [True, False, True, False]
    assert TABLE.suffix_size == 2
    assert TABLE.levels == 2


def test_without_collisions_there_is_no_suffix_vocabulary():
    assert SemanticIds.from_codes(["a", "b"], np.int32([[0], [1]]), (2,)).suffix_size == 0
    assert random_semantic_ids(0, (4, 4), seed=0).suffix_size == 0


def test_shapes_must_agree():
    with pytest.raises(InputError, match=r"3 items with 2 levels.*shape \(3, 2\), not \(4, 2\)"):
        SemanticIds.from_codes(["a", "b", "c"], CODES, (3, 2))
    with pytest.raises(InputError, match="4 items with 1 levels"):
        SemanticIds.from_codes(["a", "b", "c", "d"], CODES, (3,))


def same(left: SemanticIds, right: SemanticIds) -> bool:
    return (
        left.item_ids.tolist() == right.item_ids.tolist()
        and np.array_equal(left.codes, right.codes)
        and np.array_equal(left.suffixes, right.suffixes)
        and left.codebook_sizes == right.codebook_sizes
        and (left.codes.dtype, left.suffixes.dtype) == (right.codes.dtype, right.suffixes.dtype)
    )


@given(semantic_id_tables())
@settings(max_examples=25, deadline=None)
def test_a_table_holds_everything(semantic_ids):
    read = SemanticIds.from_table(semantic_ids.to_table("abc"))
    assert same(read, semantic_ids)
    assert read.fingerprint == semantic_ids.fingerprint


def test_it_survives_parquet(tmp_path):
    write_table(tmp_path / "ids.parquet", TABLE.to_table("abc"))
    table = read_table(tmp_path / "ids.parquet")
    assert metadata_of(table) == {"codebook_sizes": [3, 2], "codebooks_fingerprint": "abc"}
    assert table.schema.field("codes").type == pa.list_(pa.int32(), 2)
    assert same(SemanticIds.from_table(table), TABLE)
    assert same(SemanticIds.from_table(pa.concat_tables([table[:1], table[1:]])), TABLE)


def test_a_slice_of_a_table_keeps_its_own_codes():
    table = TABLE.to_table("abc")
    assert SemanticIds.from_table(table[1:3]).codes.tolist() == [[2, 1], [0, 1]]


@pytest.mark.parametrize(
    "other",
    [
        SemanticIds(TABLE.item_ids[::-1], TABLE.codes, TABLE.suffixes, TABLE.codebook_sizes),
        SemanticIds(TABLE.item_ids, TABLE.codes[::-1], TABLE.suffixes, TABLE.codebook_sizes),
        SemanticIds(TABLE.item_ids, TABLE.codes, TABLE.suffixes[::-1], TABLE.codebook_sizes),
        SemanticIds(TABLE.item_ids, TABLE.codes, TABLE.suffixes, (3, 3)),
    ],
    ids=["item ids", "codes", "suffixes", "codebook sizes"],
)
def test_the_fingerprint_sees_every_change(other):
    assert other.fingerprint != TABLE.fingerprint


def test_a_table_of_something_else_is_refused():
    table = TABLE.to_table("abc")
    with pytest.raises(ArtifactError, match="no column 'suffix'"):
        SemanticIds.from_table(table.drop_columns(["suffix"]))
    with pytest.raises(ArtifactError, match="no codebook sizes"):
        SemanticIds.from_table(table.replace_schema_metadata(None))
    shorter = table.set_column(1, "codes", pa.array([[0], [0], [0], [0]], pa.list_(pa.int32(), 1)))
    with pytest.raises(ArtifactError, match="2 codes an item"):
        SemanticIds.from_table(shorter)
