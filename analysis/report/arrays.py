"""Labelled arrays in groups, as netCDF that xarray and ArviZ open, written without importing them.

xarray brings pandas, and writing with it Dask: together longer than a comparison takes to score. What
is written here is what ``xarray.DataTree.to_netcdf`` writes of the same groups, and the tests say so.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import h5netcdf
    import xarray

# name -> (dims, values) or (dims, values, attributes), as xarray.Dataset takes them; one dimension may
# stand alone as a text. A coordinate that is named as its dimension may be values alone.
Variables = Mapping[str, Any]


class Group(NamedTuple):
    """Arrays that share coordinates."""

    variables: Variables
    coordinates: Variables


Groups = dict[str, Group]


def to_datatree(groups: Groups) -> xarray.DataTree:
    """The groups as xarray has them."""
    import xarray as xr

    return xr.DataTree.from_dict({name: xr.Dataset(*group) for name, group in groups.items()})


def groups_netcdf(groups: Groups) -> bytes:
    """The groups as a netCDF 4 file."""
    import h5netcdf

    with io.BytesIO() as buffer:
        with h5netcdf.File(buffer, "w") as file:
            for name, group in groups.items():
                _write(file.create_group(name), group)
        return buffer.getvalue()


class _Variable(NamedTuple):
    dims: tuple[str, ...]
    values: np.ndarray
    attributes: Mapping[str, Any]


def _variable(name: str, given: Any) -> _Variable:
    if not isinstance(given, tuple):
        given = ((name,), given)
    dims, values, *more = given
    dims = (dims,) if isinstance(dims, str) else tuple(dims)
    return _Variable(dims, np.asarray(values), more[0] if more else {})


def _write(file: h5netcdf.Group, group: Group) -> None:
    variables = {name: _variable(name, given) for name, given in group.variables.items()}
    coordinates = {name: _variable(name, given) for name, given in group.coordinates.items()}
    for variable in (*variables.values(), *coordinates.values()):
        for dim, size in zip(variable.dims, variable.values.shape, strict=True):
            if dim not in file.dimensions:
                file.dimensions[dim] = size
    # Coordinates that are no dimension are named by the variables that have all their dimensions.
    apart = {name: v.dims for name, v in coordinates.items() if v.dims != (name,)}
    for name, variable in variables.items():
        its = " ".join(other for other, dims in apart.items() if set(dims) <= set(variable.dims))
        attributes = {**variable.attributes} | ({"coordinates": its} if its else {})
        _put(file, name, variable._replace(attributes=attributes))
    for name, variable in coordinates.items():
        _put(file, name, variable)


def _put(file: h5netcdf.Group, name: str, variable: _Variable) -> None:
    import h5py

    dims, values, attributes = variable
    attributes, fill, dtype = dict(attributes), None, values.dtype
    if dtype.kind == "f" and dims != (name,):
        fill = dtype.type(np.nan)
    elif dtype.kind == "b":
        values, dtype = values.astype(np.int8), np.dtype(np.int8)
        attributes["dtype"] = "bool"
    elif dtype.kind in "UO":
        values, dtype = values.astype(object), h5py.string_dtype()
    made = file.create_variable(name, dims, dtype, fillvalue=fill)
    made[...] = values
    for key, value in attributes.items():
        made.attrs[key] = value
