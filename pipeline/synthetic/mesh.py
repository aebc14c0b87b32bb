"""Triangle meshes with texture coordinates, and the shapes that scenes are built from. Lengths are metres, z is up."""

from dataclasses import dataclass

import numpy as np

from pipeline.errors import DataError
from pipeline.records.arrays import check_array


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Mesh:
    """V vertices, F triangles. Vertices are doubled where the normal or the texture breaks."""

    vertices: np.ndarray  # float64 "V 3"
    normals: np.ndarray  # float64 "V 3", unit, outwards
    uv: np.ndarray  # float64 "V 2", metres along the surface: u to the right and v down, seen from outside
    faces: np.ndarray  # int32 "F 3"

    def __post_init__(self) -> None:
        num_vertices = len(self.vertices)
        check_array("vertices", self.vertices, "float64", (None, 3))
        check_array("normals", self.normals, "float64", (num_vertices, 3))
        check_array("uv", self.uv, "float64", (num_vertices, 2))
        check_array("faces", self.faces, "int32", (None, 3))
        if len(self.faces) == 0 or self.faces.min() < 0 or self.faces.max() >= num_vertices:
            raise DataError(f"faces must name some of the {num_vertices} vertices")


def rectangle(corner: np.ndarray, edge_u: np.ndarray, edge_v: np.ndarray, *, step_m: float = 0.5) -> Mesh:
    """A flat rectangle from its upper left corner, cut into cells of about `step_m` (light is computed per vertex).

    Args:
        corner: "3", where (u, v) = (0, 0).
        edge_u, edge_v: "3", the sides to the right and down; the outward normal is edge_v x edge_u.
    """
    corner, edge_u, edge_v = (np.asarray(array, np.float64) for array in (corner, edge_u, edge_v))
    lengths = np.array([np.linalg.norm(edge_u), np.linalg.norm(edge_v)])
    cells_u, cells_v = np.maximum(1, np.ceil(lengths / step_m).astype(int))
    a, b = np.meshgrid(np.linspace(0, 1, cells_u + 1), np.linspace(0, 1, cells_v + 1))
    share = np.stack([a.ravel(), b.ravel()], axis=-1)
    normal = np.cross(edge_v, edge_u)
    return Mesh(
        vertices=corner + share @ np.stack([edge_u, edge_v]),
        normals=np.tile(normal / np.linalg.norm(normal), (len(share), 1)),
        uv=share * lengths,
        faces=grid_faces(cells_u, cells_v),
    )


def box(size: tuple[float, float, float], *, step_m: float = 0.5) -> Mesh:
    """A closed box about the origin, `size` along x, y, z; each side's texture starts at its own upper left corner."""
    x, y, z = np.diag(np.asarray(size, np.float64))
    top = (z - x - y) / 2  # the corner of least x and y, above
    sides = ((top, x, -z), (top + x, y, -z), (top + x + y, -x, -z), (top + y, -y, -z), (top + y, x, -y), (top - z, x, y))
    return merge_meshes([rectangle(*side, step_m=step_m) for side in sides])


def cylinder(radius: float, height: float, *, segments: int = 32, step_m: float = 0.5) -> Mesh:
    """An upright closed cylinder about the origin; the mantle is smooth, its u runs around."""
    cells = max(1, round(height / step_m))
    turn, drop = np.meshgrid(np.linspace(0, 1, segments + 1), np.linspace(0, 1, cells + 1))
    angle = 2 * np.pi * turn.ravel()
    outward = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)
    z = height * (0.5 - drop.ravel())
    mantle = Mesh(
        vertices=radius * outward + z[:, None] * [0, 0, 1],
        normals=outward,
        uv=np.stack([radius * angle, height * drop.ravel()], axis=-1),
        faces=grid_faces(segments, cells),
    )
    return merge_meshes([mantle, _disc(radius, height / 2, segments), _disc(radius, -height / 2, segments)])


def sphere(radius: float, *, segments: int = 32) -> Mesh:
    """A smooth sphere about the origin; u runs around, v from pole to pole."""
    turn, drop = np.meshgrid(np.linspace(0, 1, segments + 1), np.linspace(0, 1, segments // 2 + 1))
    longitude, latitude = 2 * np.pi * turn.ravel(), np.pi * drop.ravel()
    ring = np.sin(latitude)
    outward = np.stack([ring * np.cos(longitude), ring * np.sin(longitude), np.cos(latitude)], axis=-1)
    faces = grid_faces(segments, segments // 2)
    at_pole = (np.isclose(ring, 0)[faces]).sum(axis=1) == 2  # triangles without area
    uv = radius * np.stack([longitude, latitude], axis=-1)
    return Mesh(vertices=radius * outward, normals=outward, uv=uv, faces=faces[~at_pole])


def merge_meshes(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes])
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in meshes]),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        uv=np.concatenate([mesh.uv for mesh in meshes]),
        faces=np.concatenate([mesh.faces + np.int32(offset) for mesh, offset in zip(meshes, offsets[:-1], strict=True)]),
    )


def deformed_normals(mesh: Mesh, vertices: np.ndarray) -> np.ndarray:
    """Unit normals "V 3" of the mesh with its vertices moved to `vertices` "V 3": means over the triangles that meet, weighted by area.

    Vertices that are doubled only for the texture (same place and normal at rest) stay one in this, so that no seam shows.
    """
    corners = vertices[mesh.faces]
    outwards = np.cross(corners[:, 2] - corners[:, 0], corners[:, 1] - corners[:, 0])  # as in `rectangle`: v x u
    rest = np.round(np.concatenate([mesh.vertices, mesh.normals], axis=1), 6) + 0.0  # + 0.0: no negative zeros
    _, group = np.unique(rest, axis=0, return_inverse=True)
    sums = np.zeros((len(vertices), 3))
    np.add.at(sums, group.ravel()[mesh.faces], outwards[:, None])
    normals = sums[group.ravel()]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 1e-12, normals / np.maximum(length, 1e-12), mesh.normals)


def _disc(radius: float, z: float, segments: int) -> Mesh:
    angle = 2 * np.pi * np.arange(segments) / segments
    rim = radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    flat = np.concatenate([[[0.0, 0.0]], rim])
    around = np.arange(segments)
    return Mesh(
        vertices=np.column_stack([flat, np.full(len(flat), z)]),
        normals=np.tile([0, 0, np.sign(z)], (len(flat), 1)),
        uv=flat + radius,
        faces=np.stack([np.zeros_like(around), 1 + around, 1 + (around + 1) % segments], axis=-1).astype(np.int32),
    )


def grid_faces(cells_u: int, cells_v: int) -> np.ndarray:
    """Two triangles per cell of a grid of (cells_v + 1) rows of cells_u + 1 vertices."""
    first = (np.arange(cells_v)[:, None] * (cells_u + 1) + np.arange(cells_u)).ravel()
    below = first + cells_u + 1
    triangles = np.stack([first, first + 1, below, first + 1, below + 1, below], axis=-1)
    return triangles.reshape(-1, 3).astype(np.int32)
