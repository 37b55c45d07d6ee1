"""Cells as tests/support/column_json.h prints them, out of what pyarrow read."""
import decimal
import uuid

import pyarrow as pa

MICROS = {"s": 1_000_000, "ms": 1000, "us": 1}
WIDE = decimal.Context(prec=80)


def is_json(type_):
    return str(type_).startswith("extension<arrow.json")


def micros(values, unit):
    return [None if v is None else v * MICROS[unit] if unit in MICROS else v // 1000 for v in values]


def storage(array):
    """An extension array (UUID, JSON, unknown ones) as what it stores."""
    if isinstance(array, pa.ChunkedArray):
        chunks = [chunk.storage for chunk in array.chunks]
        return pa.chunked_array(chunks, type=array.type.storage_type)
    return array.storage


def scalar(value, type_):
    if value is None or pa.types.is_boolean(type_):
        return value
    if pa.types.is_uint64(type_):
        return str(value)
    if pa.types.is_floating(type_):
        return "nan" if value != value else float(value).hex()
    if pa.types.is_decimal(type_):
        return str(int(value.scaleb(type_.scale, WIDE)))
    if isinstance(value, bytes):
        return "x" + value.hex()
    return value


def cells(array):
    """All values of a column, nested ones too; `array` is a pyarrow Array."""
    type_ = array.type
    if isinstance(type_, pa.BaseExtensionType):
        if str(type_) == "extension<arrow.uuid>":
            return [None if v is None else str(v if isinstance(v, uuid.UUID) else uuid.UUID(bytes=v))
                    for v in array.to_pylist()]
        return cells(storage(array))
    if pa.types.is_timestamp(type_):
        return micros(array.cast(pa.int64()).to_pylist(), type_.unit)
    if pa.types.is_time(type_):
        width = pa.int32() if type_.bit_width == 32 else pa.int64()
        return micros(array.cast(width).to_pylist(), type_.unit)
    if pa.types.is_date(type_):
        return array.cast(pa.int32()).to_pylist()
    if pa.types.is_map(type_):
        keys, items = cells(array.keys), cells(array.items)
        entries = [{"key": k, "value": v} for k, v in zip(keys, items)]
        return sliced(array, entries)
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return sliced(array, cells(array.values))
    if pa.types.is_struct(type_):
        members = [cells(array.field(i)) for i in range(type_.num_fields)]
        valid = array.is_valid().to_pylist()
        names = [type_.field(i).name for i in range(type_.num_fields)]
        return [dict(zip(names, row)) if ok else None
                for ok, row in zip(valid, zip(*members) if members else [()] * len(array))]
    return [scalar(v, type_) for v in array.to_pylist()]


def sliced(array, values):
    offsets, valid = array.offsets.to_pylist(), array.is_valid().to_pylist()
    return [values[offsets[i]:offsets[i + 1]] if valid[i] else None for i in range(len(array))]


def column(chunked):
    return [cell for chunk in chunked.chunks for cell in cells(chunk)]


def comparable(cell):
    """The same real may be printed in two ways."""
    if isinstance(cell, str) and "0x" in cell and "p" in cell:
        try:
            return float.fromhex(cell)
        except ValueError:
            return cell
    if isinstance(cell, list):
        return [comparable(c) for c in cell]
    if isinstance(cell, dict):
        return {k: comparable(v) for k, v in cell.items()}
    return cell
