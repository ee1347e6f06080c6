"""PyTorch's side: the same prototxt as torch functions, the same weights and inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks import net_files
from benchmarks.works import Work
from pycaffe_lite.net.net import Net

Blobs = dict[str, torch.Tensor]


class TorchNet(torch.nn.Module):
    """Runs our net's layers with PyTorch's functions."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.steps: list[tuple[Callable[..., torch.Tensor], list[str], list[str]]] = []
        self.outputs = net.outputs
        self.weights = torch.nn.ParameterList()
        for layer in net.layers:
            if layer.type == "Split":
                run: Any = lambda x: x  # noqa: E731
            elif layer.type == "Input":
                continue
            else:
                run = self._step(layer)
            self.steps.append((run, net.bottom_names[layer.name], net.top_names[layer.name]))

    def _tensor(self, blob: Any) -> torch.Tensor:
        self.weights.append(torch.nn.Parameter(torch.from_numpy(blob.data.copy())))
        return self.weights[-1]

    def _step(self, layer: Any) -> Callable[..., torch.Tensor]:
        make = getattr(self, f"_{layer.type.lower()}")
        return make(layer)

    def _convolution(self, layer: Any) -> Callable[..., torch.Tensor]:
        w = layer.window
        weights = [self._tensor(blob) for blob in layer.blobs]
        bias = weights[1] if len(weights) > 1 else None
        return lambda x: functional.conv2d(x, weights[0], bias, w.stride, w.pad, w.dilation, layer.group)

    def _innerproduct(self, layer: Any) -> Callable[..., torch.Tensor]:
        weight, bias = (self._tensor(blob) for blob in layer.blobs)
        return lambda x: functional.linear(x.flatten(1), weight, bias)

    def _pooling(self, layer: Any) -> Callable[..., torch.Tensor]:
        p = layer.param
        if p.global_pooling:
            return lambda x: x.mean((2, 3), keepdim=True)
        size = (p.kernel_size, p.stride, p.pad)
        if p.pool == p.MAX:
            return lambda x: functional.max_pool2d(x, *size, ceil_mode=True)
        return lambda x: functional.avg_pool2d(x, *size, ceil_mode=True)

    def _relu(self, layer: Any) -> Callable[..., torch.Tensor]:
        return functional.relu_

    def _lrn(self, layer: Any) -> Callable[..., torch.Tensor]:
        p = layer.param
        return lambda x: functional.local_response_norm(x, p.local_size, p.alpha, p.beta, p.k)

    def _dropout(self, layer: Any) -> Callable[..., torch.Tensor]:
        training = layer.phase == 0
        return lambda x: functional.dropout(x, layer.param.dropout_ratio, training)

    def _concat(self, layer: Any) -> Callable[..., torch.Tensor]:
        return lambda *x: torch.cat(x, 1)

    def _eltwise(self, layer: Any) -> Callable[..., torch.Tensor]:
        return lambda a, b: a + b

    def _batchnorm(self, layer: Any) -> Callable[..., torch.Tensor]:
        factor = 1 / layer.blobs[2].data[0]
        mean, variance = (torch.from_numpy(blob.data * factor) for blob in layer.blobs[:2])
        eps = layer.param.eps
        return lambda x: functional.batch_norm(x, mean, variance, eps=eps)

    def _scale(self, layer: Any) -> Callable[..., torch.Tensor]:
        scale, shift = (self._tensor(blob).reshape(1, -1, 1, 1) for blob in layer.blobs)
        return lambda x: torch.addcmul(shift, x, scale)

    def _softmax(self, layer: Any) -> Callable[..., torch.Tensor]:
        return lambda x: functional.softmax(x, 1)

    def _softmaxwithloss(self, layer: Any) -> Callable[..., torch.Tensor]:
        return lambda x, label: functional.cross_entropy(x, label)

    def forward(self, blobs: Blobs) -> torch.Tensor:
        """The net's first output."""
        blobs = dict(blobs)
        for run, bottoms, tops in self.steps:
            value = run(*(blobs[name] for name in bottoms))
            for name in tops:
                blobs[name] = value
        return blobs[self.outputs[-1]]


def inputs(work: Work) -> Blobs:
    """The work's batch as tensors."""
    return {
        name: torch.from_numpy(values.astype(np.int64) if name == "label" else values)
        for name, values in net_files.batch(work).items()
    }


def prepare(work: Work, threads: int) -> Callable[[], object]:
    """One step of the work, to be called again and again."""
    torch.set_num_threads(threads)
    net, blobs = TorchNet(net_files.build(work)), inputs(work)
    if not work.train:
        inference = torch.inference_mode()
        inference.__enter__()
        return lambda: net(blobs)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        net(blobs).backward()
        optimizer.step()

    return step
