import pytest
from small_solver import settings

from pycaffe_lite.errors import SolverError
from pycaffe_lite.solver import get_solver
from pycaffe_lite.solver.registry import register_solver, solver_type_list


def test_a_solver_is_of_the_class_that_its_type_names():
    assert solver_type_list() == ["AdaDelta", "AdaGrad", "Adam", "Nesterov", "RMSProp", "SAG", "SGD"]
    for name in ("Adam", "Nesterov"):
        made = get_solver(settings(f"type: '{name}'"))
        assert type(made).__name__ == f"{name}Solver"
        assert made.type == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("adam", ", did you mean 'Adam'?"),
        ("SAGG", ", did you mean 'SAG'?"),
        ("Lion", ""),
    ],
)
def test_an_unknown_type(name, hint):
    with pytest.raises(SolverError) as caught:
        get_solver(settings(f"type: '{name}'"))
    assert str(caught.value) == (
        f"unknown solver type '{name}'{hint} (known types: AdaDelta, AdaGrad, Adam, Nesterov, RMSProp, SAG, "
        "SGD)"
    )


def test_a_type_is_registered_once():
    with pytest.raises(ValueError, match="solver type 'SGD' is registered twice"):
        register_solver("SGD")(object)
