import dagster as dg
import pyarrow as pa
import pytest

from tiger_pipeline.orchestration.assets.quantization import codebooks
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline_tests.quantization.synthetic import blobs


def materialize(variant: str, overrides: list[str], folder) -> dg.MaterializeResult:
    vectors = blobs(80, 6, centers=8, seed=0)
    embeddings = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)
    table = pa.table({"item_id": [f"i{row}" for row in range(80)], "embedding": embeddings})
    key = dg.MultiPartitionKey({"dataset": "demo", "variant": variant})
    return codebooks(
        dg.build_asset_context(partition_key=key),
        warm_item_embeddings=table,
        settings=SettingsResource(overrides=overrides),
        store=StoreResource(root=str(folder)),
    )


def test_a_trained_quantizer_shows_its_training(tmp_path):
    settings = ["codewords=8", "hidden=[12]", "code_dimension=4", "epochs=3"]
    result = materialize("rqvae_ste", [f"model.quantizer.{line}" for line in settings], tmp_path)
    assert result.metadata["best_epoch"] == dg.MetadataValue.int(3)
    assert result.metadata["training"].md_str.startswith("![Training of the quantizer](data:image")
    assert (tmp_path / "codebooks" / "demo" / "rqvae_ste" / "history.json").is_file()


@pytest.mark.parametrize("variant", ["kmeans_balanced", "product_kmeans"])
def test_what_is_not_trained_by_epochs_shows_none(variant, tmp_path):
    result = materialize(variant, ["model.quantizer.codewords=4"], tmp_path)
    assert "training" not in result.metadata
    assert result.metadata["perplexity_level_0"] > 3
