"""What a solver's settings may not hold: fields of forks that change the training, numbers that are none."""

import pytest
from small_solver import NET, solver

from pycaffe_lite.errors import ArgumentTypeError, LayerError, PrototxtError, SolverError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.solver import get_solver

BASE = "base_lr: 0.1\nlr_policy: 'fixed'\nmax_iter: 2\nsnapshot_after_train: false\n"


@pytest.fixture
def make(tmp_path):
    """Makes a solver of settings read from a file."""

    def make_solver(text, net=f"net_param {{ {NET} }}"):
        file = tmp_path / "s.prototxt"
        file.write_text(f"{BASE}{text}\n{net}")
        return get_solver(file)

    return make_solver


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "stepearly: 1",
            "stepearly: 1 is not supported: in the forks that have it (old examples of Caffe) what it does "
            "is not known: no code for it is left; write an lr_policy that does what is meant",
        ),
        ("sparse_mode: SPARSE_UPDATE", "sparse_mode: SPARSE_UPDATE is not supported"),
        ("test_and_snapshot_last_epochs: 3", "test_and_snapshot_last_epochs: 3 is not supported"),
        ("eval_type: 'detection'", "eval_type: detection is not supported"),
    ],
)
def test_a_field_of_a_fork_that_changes_the_training(make, tmp_path, text, says):
    with pytest.raises(SolverError) as raised:
        make(text)
    assert str(raised.value).startswith(f"{tmp_path / 's.prototxt'}:5: {says}")


@pytest.mark.parametrize(
    "text",
    [
        "warmup_iter: 0 warmup_start_lr: 0.1",
        "min_lr: 0",
        "larc: false larc_eta: 0.01",
        "eval_type: 'classification' ap_version: '11point'",
        "momentum_policy: 'fixed'",
        "clip_weights: -1.0",
        "richness: 300 engine: 'MKL2017'",
        "plateau_winsize: [10, 20]",
        "momentum_burn_in: 3",
    ],
)
def test_a_field_that_changes_nothing(make, text):
    make(text).solve()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("larc: true larc_policy: 'max'", "unknown larc_policy 'max' (known ones: scale, clip)"),
        ("momentum_policy: 'cos'", "unknown momentum_policy 'cos' (known ones: fixed, poly, opt)"),
        ("max_iter: 0 momentum_policy: 'poly'", "momentum_policy poly needs max_iter above 0, got 0"),
        (
            "weight_decay_policy: 'poly'",
            "weight_decay_policy poly needs max_weight_decay: without it, weight decay falls to 0 in "
            "NVIDIA's 0.17, and rises from 0 in its 0.16",
        ),
        (
            "larc: true local_lr_auto: true",
            "no fork has both larc (NVIDIA) and local_lr_auto (Intel)",
        ),
        (
            "warmup_iter: 2 rampup_interval: 2",
            "no fork has both warmup_iter (Intel, jolibrain) and rampup_interval (NVIDIA)",
        ),
        ("lr_dropout: 2", "lr_dropout must be from 0 to 1, got 2"),
        ("lookahead: true lookahead_steps: 0", "lookahead_steps must be at least 1, got 0"),
        (
            "decoupled_wd_t0: 0",
            "decoupled_wd_t0 and decoupled_wd_mult must be at least 1, got 0 and 2",
        ),
        (
            "clamp_weights_lower: 1 clamp_weights_upper: 0",
            "clamp_weights_lower must not be above clamp_weights_upper",
        ),
        (
            "lr_policy: 'multifixed' stagelr: 1",
            "lr_policy 'multifixed' needs as many stagelr as stageiter, and at least one, got 1 and 0",
        ),
        ("lr_policy: 'sgdr' max_iter: 0", "lr_policy 'sgdr' needs a period or max_iter above 0"),
        ("min_lr: -1", "min_lr must be at least 0, got -1"),
        (
            "lr_policy: 'poly' power: 1 min_lr: 0.25",
            "lr_policy 'poly' leads from base_lr 0.1 down to min_lr, got 0.25",
        ),
        (
            "type: 'Adam' momentum: 0.9 momentum2: 1 rectified: true",
            "rectified Adam needs momentum2 < 1, got 1",
        ),
        (
            "type: 'Nesterov' weight_decay: 1 regularization_type: 'WD'",
            "unknown regularization_type 'WD' for solvers of type Nesterov (known types: L1, L2, L2_unitary)",
        ),
        (
            "lr_dropout: 0.5 regularization_type: 'WD'",
            "no fork has both lr_dropout (jolibrain) and regularization_type WD (NVIDIA)",
        ),
    ],
)
def test_a_field_of_a_fork_that_is_out_of_range(text, says):
    with pytest.raises(SolverError) as raised:
        solver(text)
    assert str(raised.value) == says


def test_where_a_field_of_a_fork_is_out_of_range(make, tmp_path):
    with pytest.raises(SolverError) as raised:
        make("lr_dropout: 2")
    assert str(raised.value) == f"{tmp_path / 's.prototxt'}:5: lr_dropout must be from 0 to 1, got 2"


@pytest.mark.parametrize("text", ["type: 'Adam' momentum: 0.9 larc: true", "amsgrad: true"])
def test_a_field_that_the_type_does_not_read(text, caplog):
    with caplog.at_level("INFO", "pycaffe_lite.solver"):
        solver(text)
    assert any(" has no effect on solvers of type " in message for message in caplog.messages)


@pytest.mark.parametrize(
    "name", ["base_lr", "gamma", "power", "momentum", "weight_decay", "delta", "momentum2", "rms_decay"]
)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e39"])
def test_numbers_are_finite(tmp_path, name, value):
    file = tmp_path / "s.prototxt"
    text = BASE.replace("base_lr: 0.1", "") if name == "base_lr" else BASE
    file.write_text(f"{text}\n{name}: {value}\nnet_param {{ {NET} }}")
    with pytest.raises(SolverError) as raised:
        get_solver(file)
    shown = "inf" if value == "1e39" else value
    assert str(raised.value).endswith(f"s.prototxt:6: {name} must be a finite number, got {shown}")


def test_a_limit_of_gradients(make):
    with pytest.raises(SolverError, match=r"s.prototxt:5: clip_gradients must be a finite number, got nan"):
        make("clip_gradients: nan")
    make("clip_gradients: inf").solve()


@pytest.mark.parametrize(("field", "value"), [("lr_mult", "nan"), ("decay_mult", "inf")])
def test_multipliers_are_finite(field, value):
    with pytest.raises(LayerError, match=rf"\(InnerProduct\): needs a finite {field}, got {value}"):
        solver(net=NET.replace("lr_mult: 2 decay_mult: 0", f"{field}: {value}"))


def test_several_devices(make, caplog):
    with caplog.at_level("INFO"):
        assert make("device_id: [2, 1, 3]").param.device_id == 2
        assert make("device_id: 1 device_id: 0").param.device_id == 1
        assert not make("device_id: []").param.HasField("device_id")
    said = [m.split(": ", 1)[1] for m in caplog.messages if "device_id" in m and "ignored" in m]
    assert said == [
        "further values of 'device_id' ignored: CPU only (2 times)",
        "further values of 'device_id' ignored: CPU only",
    ]


def test_a_net_inside_the_settings_is_checked_with_its_lines(make, tmp_path):
    pooling = "pooling_param { kernel_size: 3 torch_pooling: true }"
    net = (
        f"test_iter: 1 test_interval: 1 train_net_param {{ {NET} }}\ntest_net_param {{\n{NET}\n"
        f'layer {{ name: "p" type: "Pooling" bottom: "data" top: "p" {pooling} }} }}'
    )
    with pytest.raises(LayerError) as raised:
        make("", net)
    line = f"{BASE}\n{net}".split("\n").index(net.split("\n")[-1]) + 1
    where = f"{tmp_path / 's.prototxt'}:{line}: layer 'p' (Pooling): pooling_param.torch_pooling: true"
    assert str(raised.value).startswith(where)


OLD = """
net_param {
  layers { name: "d" type: DUMMY_DATA top: "x" top: "t" dummy_data_param {
    shape { dim: 1 dim: 2 } shape { dim: 1 dim: 1 } data_filler { value: 1 } data_filler { value: 1 } } }
  layers { name: "fc" type: INNER_PRODUCT bottom: "x" top: "f" inner_product_param { num_output: 1 } }
  layers { name: "l" type: EUCLIDEAN_LOSS bottom: "f" bottom: "t" top: "loss" }
}
"""


def test_old_layers_inside_the_settings_are_upgraded(make):
    made = make("", OLD)
    made.solve()
    assert made.net.layer_names == ["d", "fc", "l"]
    assert made.net.params["fc"][0].data.any()


def test_an_old_input_inside_the_settings_is_upgraded(make):
    layer = 'layer { name: "p" type: "Power" bottom: "x" top: "y" }'
    net = f'net_param {{ input: "x" input_shape {{ dim: 1 }} {layer} }}'
    assert make("", net).net.inputs == ["x"]


def test_an_old_net_that_makes_no_sense_is_said_with_its_line(make):
    with pytest.raises(PrototxtError, match=r"s.prototxt:7: a net has either 'layer' or 'layers'"):
        make("", 'net_param { layer { name: "a" }\nlayers { name: "b" } }')


@pytest.mark.parametrize("source", [None, 3, ["a"]])
def test_what_a_solver_is_made_from(source):
    with pytest.raises(
        ArgumentTypeError, match="a solver, given by its prototxt or its SolverParameter, must be"
    ):
        get_solver(source)


def test_a_nets_document_is_no_solver():
    with pytest.raises(ArgumentTypeError):
        get_solver(parse("", caffe_pb2.NetParameter))


def test_steps_are_whole_numbers():
    made = solver()
    for steps in ("5", 2.5):
        with pytest.raises(TypeError):
            made.step(steps)
