# SPDX-License-Identifier: Apache-2.0
"""Golden values: what the float64 oracles say of the frozen files beside this one.

`python -m golden.make`, in the folder tests, writes the values again: FILE.npz beside every FILE.tsplat,
rasterize.npz and life.safetensors. The .tsplat files are frozen and never written again: they are what an older
talksplat has left on people's disks.
"""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from golden.life import life_values
from reference.finish import composite_ref
from reference.pose import pose_ref
from reference.rasterize import Rasterized, rasterize_ref
from reference.scenes import Scene, View, random_scene, turned_view
from reference.tsplat import Tsplat, read

FOLDER = Path(__file__).resolve().parent
FORMAT1 = FOLDER / "format1"
AVATARS = ("face", "flame")
RASTERIZE = FOLDER / "rasterize.npz"
LIFE = FOLDER / "life.safetensors"
BACKGROUND = np.array([0.1, 0.3, 0.6], np.float32)

Values = dict[str, np.ndarray]


def controls(file: Tsplat) -> list[Values]:
    """The first input alone, the others at their defaults; then every input.

    Sines, because a release of numpy may change its random numbers.
    """
    sizes = {entry["name"]: entry["size"] for entry in file.manifest["inputs"]}
    moved = {name: (0.3 * np.sin(1.0 + np.arange(size))).astype(np.float32) for name, size in sizes.items()}
    first = file.manifest["inputs"][0]["name"]
    return [{first: moved[first]}, moved]


def avatar_values(file: Tsplat) -> Values:
    """control/I/INPUT and gaussians/I/FIELD for two controls, the picture of the second, and every clip's rows.

    Gaussians are in the source's order, and a pruned one has opacity 0. `ambiguous` marks the pixels of the picture
    where float32's rounding may decide whether a Gaussian's faint rim counts.
    """
    values: Values = {}
    for i, control in enumerate(controls(file)):
        values |= {f"control/{i}/{name}": row for name, row in control.items()}
        fields = posed_fields(file, control)
        values |= {f"gaussians/{i}/{name}": in_source_order(file, rows) for name, rows in fields.items()}
    drawn = draw(file, fields)
    width, height = file.manifest["canvas"]["width"], file.manifest["canvas"]["height"]
    picture = composite_ref(drawn.color, drawn.transmittance, background_of(file).reshape(-1, 3))
    values["picture"] = picture.reshape(height, width, 3).astype(np.float32)
    values["ambiguous"] = drawn.ambiguous.reshape(height, width)
    clips = {name: rows for name, rows in file.tensors.items() if name.startswith("motion/")}
    return values | {f"clip/{name.removeprefix('motion/')}": rows for name, rows in clips.items()}


def posed_fields(file: Tsplat, control: Values) -> Values:
    posed = pose_ref(file, control)
    color = "color" if file.manifest["color"] == "rgb" else "sh"
    stored = {name: file.tensors[f"gaussians/{name}"] for name in ("opacity", color)}
    return {"mean": posed.mean, "quat": posed.quat, "scale": posed.scale, **stored}


def in_source_order(file: Tsplat, rows: np.ndarray) -> np.ndarray:
    out = np.zeros((file.manifest["source_count"], *rows.shape[1:]), rows.dtype)
    out[file.tensors["gaussians/source_index"]] = rows
    return out


def draw(file: Tsplat, fields: Values) -> Rasterized:
    color = file.manifest["color"]
    colors, sh_degree = (fields["color"], None) if color == "rgb" else (fields["sh"], int(color[2:]))
    scene = Scene(fields["mean"], fields["quat"], fields["scale"], fields["opacity"], colors, sh_degree)
    camera, canvas = file.manifest["camera"], file.manifest["canvas"]
    cam_from_world = np.array(camera["cam_from_world"], np.float32).reshape(4, 4)
    lens = (camera["fx"], camera["fy"], camera["cx"], camera["cy"], canvas["width"], canvas["height"], camera["near"])
    return rasterize_ref(scene, View(cam_from_world, *lens))


def background_of(file: Tsplat) -> np.ndarray:
    """[H*W,3] or [3], in 0..1."""
    plate = file.get("plate/background")
    return np.array(file.manifest["background"]) if plate is None else plate / 255.0


def rasterize_inputs() -> Values:
    """30 Gaussians with SH of degree 2 before a turned camera; `view` is the other fields of View in order."""
    rng = np.random.default_rng(30)
    view = turned_view(rng, 48, 40)
    scene = random_scene(rng, 30, view, size_px=(0.5, 8.0), sh_degree=2)
    names = ("means", "quats", "scales", "opacities", "colors")
    lens = np.array([view.fx, view.fy, view.cx, view.cy, view.width, view.height, view.near])
    return {
        **{name: getattr(scene, name) for name in names},
        "sh_degree": np.array(2),
        "cam_from_world": view.cam_from_world,
        "lens": lens,
    }


def scene_of(values: Values) -> tuple[Scene, View]:
    names = ("means", "quats", "scales", "opacities", "colors")
    fx, fy, cx, cy, width, height, near = (float(x) for x in values["lens"])
    view = View(values["cam_from_world"], fx, fy, cx, cy, int(width), int(height), near)
    return Scene(*(values[name] for name in names), int(values["sh_degree"])), view


def rasterize_values(inputs: Values) -> Values:
    """image over BACKGROUND, alpha and depth, float32; `ambiguous` as of avatar_values."""
    scene, view = scene_of(inputs)
    drawn = rasterize_ref(scene, view)
    shape = (view.height, view.width)
    return {
        "image": drawn.over(BACKGROUND).reshape(*shape, 3).astype(np.float32),
        "alpha": drawn.alpha.reshape(shape).astype(np.float32),
        "depth": drawn.depth.reshape(shape).astype(np.float32),
        "ambiguous": drawn.ambiguous.reshape(shape),
    }


def load(path: Path) -> Values:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def save(path: Path, values: dict[str, Any]) -> None:
    np.savez_compressed(path, **values)
    print(f"{path.relative_to(FOLDER)}: {path.stat().st_size} bytes")


def main() -> None:
    for name in AVATARS:
        save(FORMAT1 / f"{name}.npz", avatar_values(read(FORMAT1 / f"{name}.tsplat")))
    inputs = rasterize_inputs()
    save(RASTERIZE, inputs | rasterize_values(inputs))
    save_file(life_values(), LIFE)


if __name__ == "__main__":
    main()
