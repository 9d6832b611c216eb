import dagster as dg
import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import load_file

from tiger_pipeline.orchestration.assets.quantization import codebooks
from tiger_pipeline.orchestration.resources import SettingsResource, StoreResource
from tiger_pipeline.quantization.vae import training
from tiger_pipeline.storage.tables import write_table
from tiger_pipeline_tests.quantization.synthetic import blobs


def materialize(variant: str, overrides: list[str], folder) -> dg.MaterializeResult:
    vectors = blobs(80, 6, centers=8, seed=0)
    embeddings = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 6)
    table = pa.table({"item_id": [f"i{row}" for row in range(80)], "embedding": embeddings})
    key = dg.MultiPartitionKey({"dataset": "demo", "variant": variant})
    with dg.build_asset_context(partition_key=key) as context:
        return codebooks(
            context,
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


@pytest.mark.parametrize("variant", ["kmeans_balanced", "product_kmeans", "kmeans_collaborative"])
def test_what_is_not_trained_by_epochs_shows_none(variant, tmp_path):
    users, items = np.divmod(np.arange(80), 8)
    interactions = {"user_id": users, "item_id": [f"i{i * 9 % 80}" for i in items]}
    rows = pa.table({**interactions, "split": ["train"] * 80})
    write_table(tmp_path / "interactions" / "demo.parquet", rows)
    result = materialize(variant, ["model.quantizer.codewords=4"], tmp_path)
    assert "training" not in result.metadata
    assert result.metadata["perplexity_level_0"] > 3


def test_a_killed_training_goes_on_and_leaves_no_state_behind(tmp_path, monkeypatch):
    settings = ["codewords=8", "hidden=[12]", "code_dimension=4", "epochs=6", "evaluate_every=2"]
    overrides = [f"model.quantizer.{line}" for line in settings]
    whole = tmp_path / "whole"
    materialize("rqvae_ste", overrides, whole)
    killed = tmp_path / "killed"
    run_epoch = training.AutoencoderTraining.run_epoch

    def die_after_four(self):
        if len(self.rows) == 4:
            raise KeyboardInterrupt
        run_epoch(self)
        self._saved_at = -1e9  # the next state is due at once

    with monkeypatch.context() as patched:
        patched.setattr(training.AutoencoderTraining, "run_epoch", die_after_four)
        with pytest.raises(KeyboardInterrupt):
            materialize("rqvae_ste", overrides, killed)
    state = killed / ".resumable" / "codebooks" / "demo" / "rqvae_ste"
    assert list(state.iterdir())
    materialize("rqvae_ste", overrides, killed)
    assert not state.exists()
    one, other = (
        load_file(folder / "codebooks" / "demo" / "rqvae_ste" / "model.safetensors")
        for folder in (whole, killed)
    )
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
