import pytest

from tiger_pipeline.errors import ConfigurationError
from tiger_pipeline.quantization.faiss_build import check_faiss_build, installed_faiss, load_faiss


def test_exactly_one_distribution_is_installed_here_and_loads():
    assert len(installed_faiss()) == 1
    assert load_faiss().IndexFlatL2(4).d == 4


def test_no_faiss_names_the_extras():
    with pytest.raises(ConfigurationError, match=r"not installed.*`cpu`.*`gpu`"):
        check_faiss_build([])


def test_two_builds_say_how_to_get_back_to_one():
    with pytest.raises(ConfigurationError, match="pip uninstall faiss-cpu faiss-gpu"):
        check_faiss_build(["faiss-cpu", "faiss-gpu"])


@pytest.mark.parametrize("name", ["faiss-cpu", "faiss-gpu"])
def test_either_build_alone_is_fine(name):
    check_faiss_build([name])
