"""Lamp and lens of a capture, as a command line names them."""

from collections.abc import Callable
from typing import Any

from scrambler.errors import ShuffleCamError
from sensor import Lens, Scene, SensorParams, relight


def lens_from_text(text: str) -> Lens:
    """Return a lens from its attributes in one word.

    Parameters
    ----------
    text : str
        Such as ``blur_px=1.5,falloff=0.3`` or ``psf=spot.png``; names as those of :class:`sensor.Lens`.

    Raises
    ------
    ShuffleCamError
        For unknown names and values that are no numbers; as :class:`sensor.Lens` for impossible ones.

    Examples
    --------
    >>> lens_from_text("blur_px=1.5,falloff=0.3").falloff
    0.3
    """
    known = list(Lens.__dataclass_fields__)
    values: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in known or not value or name in values:
            raise ShuffleCamError(
                f"lens {text!r}: {part.strip()!r} is not NAME=VALUE with a name of its own out of {', '.join(known)}"
            )
        try:
            values[name] = value if name == "psf" else float(value)
        except ValueError:
            raise ShuffleCamError(f"lens {text!r}: {value!r} is not a number") from None
    return Lens(**values)


def scene_optics(light: str | None, lens: str | None, params: SensorParams) -> Callable[[Scene], Scene]:
    """Return what lamp and lens make of a scene before the sensor sees it.

    Parameters
    ----------
    light : str or None
        Lamp in the place of daylight, see :func:`sensor.relight`.
    lens : str or None
        See :func:`lens_from_text`.
    params : SensorParams
        The sensor.
    """
    glass = None if lens is None else lens_from_text(lens)

    def seen(scene: Scene) -> Scene:
        if light is not None:
            scene = relight(scene, params, light)
        return scene if glass is None else glass.image(scene)

    return seen
