#!/usr/bin/env python3
"""Times ONNX Runtime on a ResNet with random weights, f32 or int8 (QDQ, symmetric weights).

    python3 tools/bench/onnxruntime_bench.py resnet18|resnet20 BATCH THREADS f32|int8 [SECONDS]

Needs onnx and onnxruntime (PyPI). Batch norms are folded into the convolutions, as ONNX Runtime does for
itself. Prints: median MS ms min MS ms runs N.
"""

import os
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

WIDTHS = {"resnet18": [(64, 2, 1), (128, 2, 2), (256, 2, 2), (512, 2, 2)],
          "resnet20": [(16, 3, 1), (32, 3, 2), (64, 3, 2)]}


class Graph:
    def __init__(self):
        self.nodes, self.weights, self.random = [], [], np.random.default_rng(0)

    def tensor(self, values):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(self, op, inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def conv(self, x, c_in, c_out, k, stride):
        scale = (2.0 / (c_in * k * k)) ** 0.5
        w = self.tensor(self.random.normal(0, scale, (c_out, c_in, k, k)))
        b = self.tensor(np.zeros(c_out))
        return self.node("Conv", [x, w, b], kernel_shape=[k, k], strides=[stride, stride],
                         pads=[k // 2] * 4)

    def block(self, x, c_in, c_out, stride, projection):
        y = self.node("Relu", [self.conv(x, c_in, c_out, 3, stride)])
        y = self.conv(y, c_out, c_out, 3, 1)
        if c_in != c_out:
            x = (self.conv(x, c_in, c_out, 1, stride) if projection
                 else self.option_a(x, c_in, c_out, stride))
        return self.node("Relu", [self.node("Add", [y, x])])

    def option_a(self, x, c_in, c_out, stride):
        """Every second pixel, channels of zeros around (He et al. 2015)."""
        x = self.node("MaxPool", [x], kernel_shape=[1, 1], strides=[stride, stride])
        before = (c_out - c_in) // 2
        pads = numpy_helper.from_array(
            np.array([0, before, 0, 0, 0, c_out - c_in - before, 0, 0], np.int64),
            f"w{len(self.weights)}")
        self.weights.append(pads)
        return self.node("Pad", [x, pads.name])


def build(network, batch, path):
    imagenet = network == "resnet18"
    size, classes = (224, 1000) if imagenet else (32, 10)
    g = Graph()
    c = WIDTHS[network][0][0]
    x = g.node("Relu", [g.conv("x", 3, c, 7 if imagenet else 3, 2 if imagenet else 1)])
    if imagenet:
        x = g.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for width, blocks, stride in WIDTHS[network]:
        for i in range(blocks):
            x = g.block(x, c, width, stride if i == 0 else 1, imagenet)
            c = width
    x = g.node("Flatten", [g.node("GlobalAveragePool", [x])])
    g.node("Gemm", [x, g.tensor(g.random.normal(0, 0.05, (c, classes))), g.tensor(np.zeros(classes))])
    out = g.nodes[-1].output[0]
    graph = helper.make_graph(
        g.nodes, network,
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, [batch, classes])], g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return size


class Calibration(CalibrationDataReader):
    def __init__(self, batch, size):
        random = np.random.default_rng(1)
        self.left = [random.normal(0, 1, (batch, 3, size, size)).astype(np.float32) for _ in range(2)]

    def get_next(self):
        return {"x": self.left.pop()} if self.left else None


def main():
    if len(sys.argv) not in (5, 6) or sys.argv[1] not in WIDTHS or sys.argv[4] not in ("f32", "int8"):
        sys.exit(__doc__)
    network, batch, threads, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    seconds = float(sys.argv[5]) if len(sys.argv) == 6 else 3.0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f32.onnx")
        size = build(network, batch, path)
        if kind == "int8":
            quantized = os.path.join(folder, "int8.onnx")
            quantize_static(path, quantized, Calibration(batch, size), quant_format=QuantFormat.QDQ,
                            per_channel=True, activation_type=QuantType.QUInt8,
                            weight_type=QuantType.QInt8)
            path = quantized
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        x = np.random.default_rng(2).normal(0, 1, (batch, 3, size, size)).astype(np.float32)
        for _ in range(3):
            session.run(None, {"x": x})
        times, begin = [], time.perf_counter()
        while len(times) < 5 or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            session.run(None, {"x": x})
            times.append(time.perf_counter() - start)
    print(f"median {np.median(times) * 1e3:.4f} ms min {min(times) * 1e3:.4f} ms runs {len(times)}")


if __name__ == "__main__":
    main()
