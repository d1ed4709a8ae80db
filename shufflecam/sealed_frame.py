"""Frames as a sealed file holds them: the mosaic, and everything else as JSON values."""

from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sensor import RawFrame

FRAME_FORMAT = "shufflecam-frame/v1"


def frame_metadata(frame: "RawFrame") -> dict[str, Any]:
    """Return everything but the mosaic, as JSON values; inverse of :func:`frame_of`."""
    metadata: dict[str, Any] = {"format": FRAME_FORMAT}
    for field in fields(frame):
        value = getattr(frame, field.name)
        if field.name == "mosaic":
            continue
        if isinstance(value, bytes):
            value = value.hex()
        metadata[field.name] = value.tolist() if hasattr(value, "tolist") else value
    return metadata


def frame_of(mosaic: Any, metadata: dict[str, Any]) -> "RawFrame":
    """Return the frame that was sealed; inverse of :func:`frame_metadata`.

    Raises
    ------
    SealedFileError
        If the file holds something else than a frame.
    """
    from scrambler import SealedFileError
    from sensor import RawFrame

    attributes = dict(metadata)
    if attributes.pop("format", None) != FRAME_FORMAT or set(attributes) != _attribute_names():
        raise SealedFileError("this sealed file holds no frame: open it with scrambler.open_sealed.")
    if attributes["nonce"] is not None:
        attributes["nonce"] = bytes.fromhex(attributes["nonce"])
    return RawFrame(mosaic=mosaic, **attributes)


def _attribute_names() -> set[str]:
    from sensor import RawFrame

    return {field.name for field in fields(RawFrame)} - {"mosaic"}
