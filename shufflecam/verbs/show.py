"""Figures of frames: what each party sees, and what there is to see of order, values, keys and networks."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from shufflecam.inputs import Input
from shufflecam.jobs.job_key import JobKey
from shufflecam.jobs.work import Do, Made, Work
from shufflecam.parameters import SchemeParameters, json_parameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from scrambler import Key
    from sensor import RawFrame
    from shufflecam.figures import Panel

KINDS = ("views", "mosaic", "order", "statistics", "wrong-keys", "features", "schemes", "noise")
"""What can be drawn; "noise" draws all inputs as one curve, the others each on its own."""

SHEETS = ("views", "schemes")
"""Kinds that put several inputs into one figure, a row each."""

MANY_KEYS = ("schemes",)


@dataclass(frozen=True, kw_only=True)
class Show(Work):
    """Draw a figure of each input.

    Attributes
    ----------
    sensor, sensor_hash : str
        Preset that captures pictures, or preset file and its SHA-256.
    kind : str
        One of :data:`KINDS`.
    more_keys : tuple of JobKey
        Beside ``key``, for a sheet of schemes.
    schemes : tuple of str
        For a sheet of schemes.
    scheme_parameters : tuple of (str, tuple of (str, value))
        Parameters of each scheme that is not to have its defaults.
    model, model_hash, layer : str
        Network, or weights file and its SHA-256, and the layer whose maps are drawn; empty: the first convolution.
    ending : str
        Of the figures.
    """

    sensor: str
    sensor_hash: str
    kind: str = "views"
    more_keys: tuple[JobKey, ...] = ()
    schemes: tuple[str, ...] = ()
    scheme_parameters: SchemeParameters = ()
    model: str = ""
    model_hash: str = ""
    layer: str = ""
    ending: str = ".png"

    verb: ClassVar[str] = "show"

    def parameters(self) -> dict[str, Any]:
        """Return the options."""
        return {
            "sensor": self.sensor, "sensor_hash": self.sensor_hash, "kind": self.kind, "schemes": list(self.schemes),
            "scheme_parameters": {name: json_parameters(values) for name, values in self.scheme_parameters},
            "more_keys": [key.id for key in self.more_keys], "model": self.model, "model_hash": self.model_hash,
            "layer": self.layer, "ending": self.ending,
        }  # fmt: skip

    def start(self) -> Do:
        """Load keys and make camera and network."""
        from shufflecam.figures import save_figure

        draw = self.drawer()

        def do(item: Input, out: Path) -> Made:
            figure = draw([item.path])
            target = item.output(out, self.ending)
            target.parent.mkdir(parents=True, exist_ok=True)
            save_figure(target, figure)
            return Made(target)

        return do

    def drawer(self) -> "Callable[[list[Path]], Figure]":
        """Return the function that draws files: several where the kind is one of :data:`SHEETS`, else one."""
        from scrambler import Key
        from shufflecam.figures import draw_sheet
        from shufflecam.inputs import named

        keys = [key.load() for key in (*([self.key] if self.key else []), *self.more_keys)]
        key = keys[0] if keys else None
        if self.kind == "schemes":
            keys = keys or [Key.generate()]

            def row_of(path: Path) -> "list[list[Panel]]":
                return self._scheme_rows(path, keys)
        elif self.kind == "views":
            frame_of = self._frames()

            def row_of(path: Path) -> "list[list[Panel]]":
                return [views(frame_of(path), path.name, key)]
        else:
            draw_one = self._one(key)
            return lambda paths: draw_one(paths[0])

        def draw(paths: list[Path]) -> "Figure":
            rows = []
            for path in paths:
                with named(path):
                    rows += row_of(path)
            return draw_sheet(rows, histograms=self.kind == "views")

        return draw

    def _scheme_rows(self, path: Path, keys: "list[Key]") -> "list[list[Panel]]":
        from shufflecam.figures import scheme_rows
        from shufflecam.sources import read_plain

        parameters = {name: dict(values) for name, values in self.scheme_parameters}
        rows = scheme_rows(read_plain(path), self.schemes, keys, parameters)
        return [[(f"{path.name}: {title}", picture), *others] for (title, picture), *others in rows]

    def _frames(self) -> "Callable[[Path], RawFrame]":
        """Return the function that captures pictures and reads frames."""
        from sensor import Camera
        from shufflecam.sources import natural_frame

        camera = Camera(self.sensor)
        return lambda path: natural_frame(path, camera)

    def _one(self, key: "Key | None") -> "Callable[[Path], Figure]":
        """Return the function that draws one input on its own."""
        from scrambler import Key, Multiplexer
        from sensor import develop
        from shufflecam import figures

        frame_of = self._frames()
        if self.kind == "features":
            from networks import load_network

            pretrained = load_network(self.model)

        def draw(path: Path) -> "Figure":
            frame, secret = frame_of(path), key
            if not frame.is_shuffled:
                secret = key or Key.generate()
                frame = frame.shuffle(Multiplexer(secret))
            if self.kind == "mosaic":
                return figures.draw_mosaics(frame, secret, path.name)
            # Without the key these say so in one sentence; a natural frame has got one above.
            natural = frame.unshuffle(secret)
            assert secret is not None
            if self.kind == "order":
                order = frame.readout_permutation(secret)
                assert order is not None
                # As it lies on the sensor, which the order is of.
                lying = develop(replace(natural, orientation=1))
                return figures.draw_readout_order(order, lying, path.name)
            if self.kind == "statistics":
                before, after = figures.colour_planes(natural), figures.colour_planes(frame)
                return figures.draw_statistics([(f"{path.name}: plain", before), ("as delivered", after)])
            if self.kind == "wrong-keys":
                return figures.draw_wrong_keys(frame, secret, name=path.name)
            from shufflecam.chain import network_input

            picture = network_input(natural, pretrained.input_size)[0].permute(1, 2, 0).numpy()
            return figures.draw_feature_maps(pretrained.reading_rgb(), picture, secret, self.layer or None)

        return draw


def views(frame: "RawFrame", name: str, key: "Key | None") -> "list[Panel]":
    """Return the panels of one frame: those that can be drawn with what is known."""
    from scrambler import Key, Multiplexer
    from sensor import develop

    if not frame.is_shuffled:
        key = key or Key.generate()
        frame = frame.shuffle(Multiplexer(key))
    delivered = (f"{name}: as delivered", develop(frame.as_if_natural()))
    if key is None:
        return [delivered]
    plain = frame.unshuffle(key)
    return [
        ("plain", develop(plain)),
        delivered,
        ("with the key", develop(frame, key)),
        ("wrong key", develop(frame, Key.generate(), force=True)),
    ]
