"""What the types and fields of V0 layers, the format of 2013, become in V1 layers."""

from __future__ import annotations

# The type strings, and the names of the enum of V1.
V0_TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}

_PARAMS = {
    "conv": "convolution_param",
    "innerproduct": "inner_product_param",
    "pool": "pooling_param",
    "dropout": "dropout_param",
    "lrn": "lrn_param",
    "concat": "concat_param",
    "data": "data_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "window_data": "window_data_param",
    "infogain_loss": "infogain_loss_param",
}


def _to(field: str, *types: str) -> dict[str, str]:
    """The target of a field of that name in the parameters of these types."""
    return {kind: f"{_PARAMS[kind]}.{field}" for kind in types}


# Each field: by V0 type the V1 field that it becomes, with "*" for any type. On other types it is dropped.
V0_FIELDS = {
    "num_output": _to("num_output", "conv", "innerproduct"),
    "biasterm": _to("bias_term", "conv", "innerproduct"),
    "weight_filler": _to("weight_filler", "conv", "innerproduct"),
    "bias_filler": _to("bias_filler", "conv", "innerproduct"),
    "pad": _to("pad", "conv", "pool"),
    "kernelsize": _to("kernel_size", "conv", "pool"),
    "stride": _to("stride", "conv", "pool"),
    "group": _to("group", "conv"),
    "pool": _to("pool", "pool"),
    "dropout_ratio": _to("dropout_ratio", "dropout"),
    "local_size": _to("local_size", "lrn"),
    "alpha": _to("alpha", "lrn"),
    "beta": _to("beta", "lrn"),
    "k": _to("k", "lrn"),
    "source": _to("source", "data", "hdf5_data", "images", "window_data", "infogain_loss"),
    "batchsize": _to("batch_size", "data", "hdf5_data", "images", "window_data"),
    "scale": {"*": "transform_param.scale"},
    "meanfile": {"*": "transform_param.mean_file"},
    "cropsize": {"*": "transform_param.crop_size"},
    "mirror": {"*": "transform_param.mirror"},
    "rand_skip": _to("rand_skip", "data", "images"),
    "shuffle_images": _to("shuffle", "images"),
    "new_height": _to("new_height", "images"),
    "new_width": _to("new_width", "images"),
    "concat_dim": _to("concat_dim", "concat"),
    "det_fg_threshold": _to("fg_threshold", "window_data"),
    "det_bg_threshold": _to("bg_threshold", "window_data"),
    "det_fg_fraction": _to("fg_fraction", "window_data"),
    "det_context_pad": _to("context_pad", "window_data"),
    "det_crop_mode": _to("crop_mode", "window_data"),
    "hdf5_output_param": {"hdf5_output": "hdf5_output_param"},
}
