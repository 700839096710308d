"""The set-up compiles all that a run calls, in every form in which it is called."""

import subprocess
import sys

from medgen_pipeline.generation.warm import compile_kernels

COMPARE = """
import gc
from medgen_pipeline.generation import warm
from medgen_pipeline.generation.finished import finished_patients
from medgen_pipeline.scenario.catalogue import Catalogue
from medgen_pipeline.scenario.scaling import with_patients
from medgen_pipeline.service.courses import batch_of
from medgen_pipeline.service.formats import Format, writer
from medgen_pipeline.simulation.compiled import EntryPoint
from medgen_pipeline.simulation.engine import Replicate, engine

def forms():
    points = [point for point in gc.get_objects() if isinstance(point, EntryPoint)]
    used = [point for point in points if "dispatcher" in vars(point)]
    return {(p.__name__, str(form)) for p in used for form in p.dispatcher.signatures}

warm.load_kernels()
compiled = forms()
for scenario_id in Catalogue().ids():
    shipped = Catalogue().get(scenario_id)
    some = [with_patients(shipped, 100)] + [shipped] * (shipped.patients is None)
    for scenario in some:
        for _ in Replicate(engine(scenario, buffer_rows=1_000), 0).rows():
            pass
for kind in Format:
    with_course = kind is not Format.CSV
    for finished in finished_patients(engine(Catalogue().get("coin")), [0]):
        writer(kind, with_course=with_course).rows(batch_of(finished, with_course=with_course))
print(len({name for name, _ in compiled}), sorted(forms() - compiled))
"""


def test_no_run_calls_what_the_set_up_has_not_compiled() -> None:
    """Over every shipped scenario, by an exact total and by rates; and a stream of each format."""
    compile_kernels()
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    number, missing = done.stdout.split(maxsplit=1)
    assert int(number) >= 8
    assert missing.strip() == "[]"


def test_what_is_compiled_is_not_compiled_again() -> None:
    compile_kernels()
    assert compile_kernels() is None
