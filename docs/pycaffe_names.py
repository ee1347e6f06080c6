"""Writes the tables of coming-from-pycaffe.md: pycaffe's public names, and what each does here.

    python docs/pycaffe_names.py

What a name does is the first sentence of its docstring. tests/test_coming_from_pycaffe.py checks that all
names are there, that they take pycaffe's arguments, and that the page is up to date.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

PAGE = Path(__file__).with_name("coming-from-pycaffe.md")
START, END = "<!-- tables: made by docs/pycaffe_names.py -->", "<!-- end of tables -->"

# Each module or class with its names; in brackets pycaffe's arguments, where a program may name them.
NAMES = {
    "caffe": """
        TRAIN TEST Net SGDSolver NesterovSolver AdaGradSolver RMSPropSolver AdaDeltaSolver AdamSolver
        get_solver Layer Classifier Detector NetSpec layers params to_proto io proto layer_type_list Timer
        init_log log set_random_seed set_mode_cpu set_mode_gpu set_device NCCL has_nccl solver_count
        set_solver_count solver_rank set_solver_rank set_multiprocess
    """,
    "caffe.Net": """
        blobs params layers layer_dict inputs outputs top_names bottom_names blob_loss_weights
        forward(blobs=None,start=None,end=None) backward(diffs=None,start=None,end=None)
        forward_all(blobs=None) forward_backward_all(blobs=None,diffs=None) set_input_arrays(data,labels)
        reshape() clear_param_diffs() copy_from save save_hdf5 load_hdf5 share_with
        before_forward after_forward before_backward after_backward _forward _backward _batch _blobs
        _blob_names _layer_names _inputs _outputs _blob_loss_weights _top_ids _bottom_ids _set_input_arrays
        _blobs_dict _input_list _output_list
    """,
    "caffe._caffe.Blob": "data diff shape num channels height width count reshape",
    "caffe._caffe.BlobVec": "",
    "caffe.Layer": """
        setup(bottom,top) reshape(bottom,top) forward(bottom,top) backward(top,propagate_down,bottom)
    """,
    "caffe._caffe.Solver": """
        net test_nets iter param lr step(iterations) solve restore snapshot() share_weights(net)
        apply_update() add_callback(on_start,on_gradients_ready)
    """,
    "caffe.Timer": "start() stop() ms",
    "caffe.NCCL": "new_uid() bcast()",
    "caffe.io": """
        Transformer load_image(filename,color=True) resize_image(im,new_dims,interp_order=1)
        oversample(images,crop_dims) blobproto_to_array(blob,return_diff=False)
        array_to_blobproto(arr,diff=None) arraylist_to_blobprotovector_str(arraylist)
        blobprotovector_str_to_arraylist(str)
        array_to_datum(arr,label=None) datum_to_array(datum) caffe_pb2
    """,
    "caffe.io.Transformer": """
        preprocess(in_,data) deprocess(in_,data) set_transpose(in_,order) set_channel_swap(in_,order)
        set_raw_scale(in_,scale) set_mean(in_,mean) set_input_scale(in_,scale)
    """,
    "caffe.net_spec": """
        Top Function NetSpec Layers Parameters layers params to_proto assign_proto(proto,name,val)
        param_name_dict()
    """,
    "caffe.net_spec.NetSpec": "to_proto()",
    "caffe.net_spec.Top": "to_proto()",
    "caffe.Classifier": "predict(inputs,oversample=True)",
    "caffe.Detector": """
        detect_windows(images_windows) detect_selective_search(image_fnames) crop(im,window)
        configure_crop(context_pad)
    """,
    "caffe.draw": """
        draw_net(caffe_net,rankdir,ext='png',phase=None,display_lrm=False)
        draw_net_to_file(caffe_net,filename,rankdir='LR',phase=None,display_lrm=False)
        get_pydot_graph(caffe_net,rankdir,label_edges=True,phase=None,display_lrm=False)
        get_layer_label(layer,rankdir,display_lrm=False) get_layer_lr_mult(layer) get_edge_label(layer)
        choose_color_by_layertype(layertype) get_pooling_types_dict() LAYER_STYLE_DEFAULT NEURON_LAYER_STYLE
        BLOB_STYLE
    """,
    "caffe.coord_map": """
        coord_map_from_to(top_from,top_to) crop(top_from,top_to) coord_map(fn) compose(base_map,next_map)
        inverse(coord_map) conv_params(fn) crop_params(fn) PASS_THROUGH_LAYERS UndefinedMapException
        AxisMismatchException
    """,
    "caffe.proto.caffe_pb2": """
        NetParameter LayerParameter SolverParameter BlobProto BlobProtoVector Datum TRAIN TEST
    """,
}

# Where a name does other than in pycaffe: more, less, or nothing.
NOTES = {
    "caffe.Net": "also `from_text`, `from_proto`, float64, paths as `pathlib` has them, `copy.deepcopy`",
    "caffe.set_mode_cpu": "there is nothing else",
    "caffe.set_mode_gpu": "**no GPU**: nets run on the CPU, which the log says",
    "caffe.set_device": "**no GPU**: no effect, which the log says",
    "caffe.NCCL": "**no effect**, as in a Caffe built without NCCL",
    "caffe.NCCL.new_uid": "**raises SolverError**",
    "caffe.has_nccl": "always False",
    "caffe.set_solver_count": "**no effect**: each solver reads all of its data; the log says so",
    "caffe.set_solver_rank": "**no effect**",
    "caffe.set_multiprocess": "**no effect**",
    "caffe.init_log": "may be called again",
    "caffe.Layer": "`for blob in bottom` works too",
    "caffe.layer_type_list": "a list of Caffe's 61 types and your own; with `forks=True` those of forks, too",
    "caffe._caffe.Blob.shape": "a tuple, which equals another tuple",
    "caffe._caffe.Blob.reshape": "takes a tuple too",
    "caffe._caffe.BlobVec": "a list; assigning to an index raises TypeError, as in pycaffe",
    "caffe.Net.forward_backward_all": "all results are arrays; in pycaffe some are lists",
    "caffe.io.load_image": "needs Pillow, not scikit-image",
    "caffe.io.resize_image": "orders 0 and 1; needs neither scikit-image nor SciPy",
    "caffe.Detector.detect_selective_search": "needs the package that pycaffe needs, and MATLAB",
    "caffe.draw.draw_net": "Graphviz where it is, else matplotlib; svg needs neither",
    "caffe.draw.get_pydot_graph": "without pydot a graph of our own, with `to_string()` and `create()`",
    "caffe.net_spec.NetSpec": "a name that there is not is a KeyError and an AttributeError; also "
    "SSD's `keys`, `vals` and `update`",
    "caffe._caffe.Solver.net": "the same object each time",
    "caffe._caffe.Solver.snapshot": "returns the state's path",
}

# What instances only have.
ATTRIBUTES = {
    "caffe._caffe.Solver.param": "The settings, a SolverParameter",
}


def find(name: str) -> Any:
    """What stands behind a name of pycaffe's, `caffe.io.Transformer`; None where it is an instance's own."""
    steps = name.replace("caffe", "pycaffe_lite", 1).split(".")
    thing: Any = importlib.import_module(steps[0])
    for i, step in enumerate(steps[1:], 2):
        try:
            thing = getattr(thing, step)
        except AttributeError:
            if inspect.isclass(thing):
                return None  # an attribute that instances have
            thing = importlib.import_module(".".join(steps[:i]))
    return thing


def what_it_does(full: str) -> str:
    """The first sentence of a name's docstring, for the table."""
    thing = find(full)
    if thing is None:
        return ATTRIBUTES[full]
    if isinstance(thing, (int, dict, list)):
        return f"`{thing}`" if isinstance(thing, int) else "as in pycaffe"
    if full.startswith("caffe.proto.caffe_pb2."):
        return "Caffe's message"
    text = inspect.getdoc(thing) or ""
    return " ".join(text.split("\n\n")[0].split()).partition(". ")[0].rstrip(".")


def tables() -> str:
    """All tables, in Markdown."""
    lines = []
    for module, names in NAMES.items():
        rows = [(f"{module}.{given.partition('(')[0]}", given.partition("(")[0]) for given in names.split()]
        if not rows:
            rows = [(module, module.rpartition(".")[2])]
        lines += ["", f"### `{module}`", "", "| name | what it does | otherwise than in pycaffe |"]
        lines.append("| --- | --- | --- |")
        for full, name in rows:
            does = what_it_does(full).replace("|", r"\|")
            lines.append(f"| `{name}` | {does} | {NOTES.get(full, '')} |")
    return "\n".join([*lines, ""])


def page(text: str) -> str:
    """The page with its tables made anew."""
    before, _, rest = text.partition(START)
    return before + START + "\n" + tables() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
