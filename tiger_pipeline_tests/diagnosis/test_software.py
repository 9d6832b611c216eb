import pytest

from tiger_pipeline.diagnosis import software
from tiger_pipeline.diagnosis.software import check_faiss, check_packages, check_python
from tiger_pipeline.quantization import faiss_build


@pytest.mark.parametrize(
    ("version", "level"),
    [((3, 9, 2), "error"), ((3, 10, 0), "ok"), ((3, 14, 1), "ok"), ((3, 15, 0), "error")],
)
def test_python(version, level):
    finding = check_python(version)
    assert finding.level == level
    assert finding.value.startswith(".".join(map(str, version)))
    assert ("3.10 to 3.14" in finding.advice) == (level == "error")


def test_packages_that_are_there_have_a_version_and_others_are_missed():
    numpy, other = check_packages(["numpy", "no-such-package"])
    assert (numpy.level, numpy.value[0].isdigit()) == ("ok", True)
    assert (other.level, other.value) == ("error", "not installed")
    assert "pip install" in other.advice


def test_the_faiss_that_is_here():
    finding = check_faiss()
    assert finding.level != "error"
    assert "GPUs, will use" in finding.value


@pytest.mark.parametrize(
    ("installed", "advice"),
    [([], "extra `cpu`"), (["faiss-cpu", "faiss-gpu"], "pip uninstall faiss-cpu faiss-gpu")],
)
def test_no_faiss_and_both_are_errors(installed, advice):
    finding = check_faiss(installed)
    assert finding.level == "error"
    assert advice in finding.advice


def test_a_faiss_that_cannot_be_imported_is_an_error(monkeypatch):
    def broken():
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(software, "load_faiss", broken)
    finding = check_faiss(["faiss-gpu"])
    assert finding.level == "error"
    assert "libcudart.so.12" in finding.value
    assert "pip uninstall -y faiss-gpu" in finding.advice


def test_a_cpu_build_beside_a_gpu_is_pointed_out(monkeypatch):
    monkeypatch.setattr(software, "has_driver", lambda: True)
    if faiss_build.load_faiss().get_num_gpus():
        pytest.skip("this FAISS finds a GPU")
    finding = check_faiss(["faiss-cpu"])
    assert finding.level == "warning"
    assert "extra `gpu`" in finding.advice
