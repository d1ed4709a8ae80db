"""Lamp and lens of a capture, as a command line names them."""

from collections.abc import Callable
from typing import Any

from sensor import Lens, Scene, SensorParams, read_psf, relight
from shufflecam.usage import UsageError, usage


def lens_from_text(text: str) -> Lens:
    """Return a lens from its attributes in one word.

    Parameters
    ----------
    text : str
        Such as ``blur_px=1.5,falloff=0.3`` or ``psf=spot.png``; names as those of :class:`sensor.Lens`.

    Raises
    ------
    UsageError
        For unknown names, values that are no numbers, and those that :class:`sensor.Lens` refuses.
    SceneError
        For a file that holds no spot.

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
            raise UsageError(
                f"lens {text!r}: {part.strip()!r} is not NAME=VALUE with a name of its own out of {', '.join(known)}"
            )
        try:
            values[name] = read_psf(value) if name == "psf" else float(value)
        except ValueError as error:
            if name == "psf":
                raise
            raise UsageError(f"lens {text!r}: {value!r} is not a number") from error
    with usage():
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
