"""Messages of Caffe's schema with random fields, for property-based tests."""

from google.protobuf.descriptor import FieldDescriptor
from hypothesis import strategies as st

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_fields import fields_of


def value_of(kind: str, field: FieldDescriptor) -> st.SearchStrategy:
    single = field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT
    known = fields_of(field.containing_type).by_name[field.name]
    return {
        "int": lambda: st.integers(known.low, known.high),
        "float": lambda: st.floats(width=32 if single else 64, allow_nan=False),
        "bool": st.booleans,
        "enum": lambda: st.sampled_from(sorted(known.values.values())),
        "string": st.text,
        "bytes": st.binary,
    }[kind]()


@st.composite
def fill(draw, message) -> None:
    """Sets a few fields of a message at random, and those inside them, and all required ones."""
    fields = fields_of(message.DESCRIPTOR)
    names = draw(st.sets(st.sampled_from(sorted(fields.by_name)), max_size=4)) | set(fields.required)
    for name in sorted(names):
        field, descriptor = fields.by_name[name], message.DESCRIPTOR.fields_by_name[name]
        for _ in range(draw(st.integers(0, 3)) if field.repeated else 1):
            slot = getattr(message, name)
            if field.kind == "message":
                slot.SetInParent() if not field.repeated else None
                draw(fill(slot.add() if field.repeated else slot))
            elif field.repeated:
                slot.append(draw(value_of(field.kind, descriptor)))
            else:
                setattr(message, name, draw(value_of(field.kind, descriptor)))


@st.composite
def messages(draw):
    message = draw(st.sampled_from([caffe_pb2.NetParameter, caffe_pb2.SolverParameter, caffe_pb2.Datum]))()
    draw(fill(message))
    return message
