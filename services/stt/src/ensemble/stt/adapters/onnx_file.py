"""The weights in an ONNX file, read without a runtime for ONNX."""

import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

Tensor = NDArray[np.float32]

_FLOAT: Final = 1
"""The data type of 32-bit floats, in onnx.proto3."""

_INT32, _INT64, _STRING, _BYTES = 5, 3, 9, 12
_ONE, _MANY = 1, 3

_LAYOUT: Final[dict[str, dict[str, tuple[int, Any, Any]]]] = {
    "Model": {"graph": (7, "Graph", _ONE)},
    "Graph": {"node": (1, "Node", _MANY), "initializer": (5, "Weights", _MANY)},
    "Node": {"input": (1, _STRING, _MANY), "op_type": (4, _STRING, _ONE)},
    "Weights": {
        "dims": (1, _INT64, _MANY),
        "data_type": (2, _INT32, _ONE),
        "name": (8, _STRING, _ONE),
        "raw_data": (9, _BYTES, _ONE),
    },
}
"""The part of onnx.proto3 that is read: of each message, the number, type and count of fields."""


@dataclass(frozen=True, slots=True)
class Node:
    """One step of the graph: its operator, such as "Conv", and the names of its inputs."""

    operator: str
    inputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """What such a file says.

    Attributes:
        nodes: The steps in the order in which they run.
        tensors: The weights of 32-bit floats, by name.
    """

    nodes: tuple[Node, ...]
    tensors: dict[str, Tensor]

    @classmethod
    def read(cls, file: Path) -> "OnnxFile":
        """Return what ``file`` says.

        Raises:
            OSError: It cannot be read.
            ValueError: It is damaged, or no ONNX file.
        """
        model = _model_class()()
        try:
            model.ParseFromString(file.read_bytes())
        except DecodeError as error:
            raise ValueError("not an ONNX file") from error
        graph = model.graph
        return cls(
            tuple(Node(node.op_type, tuple(node.input)) for node in graph.node),
            {
                each.name: np.frombuffer(each.raw_data, "<f4").reshape(each.dims)
                for each in graph.initializer
                if each.data_type == _FLOAT and len(each.raw_data) == 4 * math.prod(each.dims)
            },
        )


@functools.lru_cache(maxsize=1)
def _model_class() -> Any:
    """Return the message type of a whole file."""
    described = descriptor_pb2.FileDescriptorProto(
        name="onnx_weights.proto", package="onnx_weights", syntax="proto2"
    )
    for message, fields in _LAYOUT.items():
        described_message = described.message_type.add(name=message)
        for name, (number, kind, count) in fields.items():
            field = described_message.field.add(name=name, number=number, label=count)
            if isinstance(kind, str):
                field.type_name = f".onnx_weights.{kind}"
            else:
                field.type = kind
    # A pool of its own: the real types may be in the common one.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(described)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("onnx_weights.Model"))
