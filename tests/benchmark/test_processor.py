"""A figure names the processor that it was measured on."""

from rondeau.benchmark.measure import circumstances
from rondeau.benchmark.processor import described, processor

LINES = "processor : 0\nvendor_id : {}\ncpu family : {}\nmodel : {}\nmodel name : {}\nflags : fpu {}\n\nprocessor : 1\n"


def test_kinds_that_a_virtual_machine_hides() -> None:
    assert described(LINES.format("AuthenticAMD", 25, 17, "AMD EPYC", "avx2 avx512f")) == "AMD EPYC (Zen 4, AVX-512)"
    assert described(LINES.format("GenuineIntel", 6, 143, "Intel Xeon", "avx2")) == "Intel Xeon (Sapphire Rapids, AVX2)"
    assert described(LINES.format("GenuineIntel", 6, 999, "Intel Xeon", "sse2")) == "Intel Xeon"


def test_files_without_what_is_sought() -> None:
    assert described("Model : Some Board\nfamily : x\n") == "Some Board"
    assert described("")  # whatever Python knows


def test_every_figure_names_it() -> None:
    assert circumstances()["machine"] == processor() != ""
