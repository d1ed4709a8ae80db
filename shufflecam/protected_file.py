"""Protected pictures as files: the values, and beside them what `reveal` needs besides the key; all of it is public.

Values of 8 and 16 bits with one, three or four channels become a PNG, everything else (whole numbers of 32 and 64
bits, real numbers) a TIFF of the same type; both are lossless. A JSON object says the rest: in the PNG as the text
chunk "shufflecam", in the TIFF as the image description. It holds a SHA-256 sum of the values and of everything else
it says, which finds damage, and under a keyed scheme a tag of that sum, HMAC-SHA256 under a key of its own, derived
from the secret: without the secret nobody can change a file unnoticed. The picture itself is hidden only as well as
its scheme hides it (:func:`scrambler.seal` does both).
"""

import hmac
import io
import json
import zlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from scrambler import Key, Protected, scheme
from scrambler.errors import ShuffleCamError, WrongKeyError
from scrambler.files import write_atomically
from scrambler.key import require_key
from shufflecam.sources import quiet_decoders

FORMAT = "shufflecam-protected/2"
FORMATS = ("shufflecam-protected/1", FORMAT)  # version 1 had neither sum nor tag
_TAG = "protected-file"
ENDINGS = frozenset({".png", ".tif"})
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORD = b"shufflecam\0"
_AFTER_HEADER = 33  # signature and the header chunk: ISO/IEC 15948, section 5.6, wants that chunk first


class ProtectedFileError(ShuffleCamError):
    """A file that is no protected picture, or one that was damaged or changed."""


def ending(values: NDArray[Any]) -> str:
    """Return the ending of the file that holds these values.

    >>> ending(np.zeros((4, 5), np.uint8)), ending(np.zeros((4, 5), np.int32))
    ('.png', '.tif')
    """
    is_picture = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3, 4))
    return ".png" if is_picture and values.size and values.dtype in (np.uint8, np.uint16) else ".tif"


def save_protected(path: Path, protected: Protected, parameters: Mapping[str, Any], key: Key | None = None) -> None:
    """Write one protected picture, atomically; inverse of :func:`load_protected`.

    Parameters
    ----------
    path : Path
        Ends as :func:`ending` says.
    protected : Protected
        One image, not a batch.
    parameters : mapping
        Those of the scheme, as JSON can hold them.
    key : Key, optional
        The one that protected it, for the tag; needed where one did.

    Raises
    ------
    MissingKeyError, WrongKeyError
        If a key protected it, and none or another one is given.
    """
    about: dict[str, Any] = {
        "format": FORMAT,
        "scheme": protected.scheme,
        "parameters": dict(parameters),
        "nonces": [nonce.hex() for nonce in protected.nonces],
        "shape": list(protected.shape),
        "dtype": None if protected.dtype is None else protected.dtype.name,
        "key_id": protected.key_id,
    }
    about["sha256"] = _sum(about, protected.values)
    if protected.key_id is not None:
        about["tag"] = _tag(_the_key(key, protected.key_id), about["sha256"])
    write_atomically(path, _encode(protected.values, json.dumps(about).encode("ascii")))


def _sum(about: Mapping[str, Any], values: NDArray[Any]) -> str:
    """Return the SHA-256 sum of the values and of what the file says of them, as hexadecimal digits."""
    said = {name: value for name, value in about.items() if name not in ("sha256", "tag")}
    # A picture decoded from a file has lost a single channel's axis, and its byte order may be another.
    shape = values.shape[:2] if values.ndim == 3 and values.shape[2] == 1 else values.shape
    octets = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    head = json.dumps([said, values.dtype.name, shape], sort_keys=True).encode("ascii")
    digest = sha256(len(head).to_bytes(8, "big") + head)
    digest.update(octets.data if octets.size else b"")
    return digest.hexdigest()


def _tag(key: Key, summed: str) -> str:
    return hmac.digest(key.derive(_TAG), bytes.fromhex(summed), "sha256").hex()


def _the_key(key: Key | None, key_id: str) -> Key:
    """Return the key that protected a picture."""
    secret = require_key(key, "the tag of a protected picture")
    if secret.id != key_id:
        raise WrongKeyError(f"protected with key {key_id}, and the key given is {secret.id}: give that one.")
    return secret


def _check(path: Path, said: Mapping[str, Any], values: NDArray[Any], key: Key | None) -> None:
    """Check sum and tag.

    Raises
    ------
    ProtectedFileError, WrongKeyError
        Naming the file, if it was damaged or changed, or another key is given.
    """
    if said["format"] != FORMAT:
        return
    if said["sha256"] != _sum(said, values):
        raise ProtectedFileError(
            f"{path}: this protected picture is damaged: its values or what it says of them differ"
        )
    if key is None or said["key_id"] is None:
        return
    secret = _the_key(key, said["key_id"])
    if not hmac.compare_digest(str(said["tag"]).encode(), _tag(secret, said["sha256"]).encode()):
        raise ProtectedFileError(f"{path}: somebody without key {secret.id} has changed this picture: do not trust it")


def _encode(values: NDArray[Any], about: bytes) -> bytes:
    if ending(values) == ".tif":
        file = io.BytesIO()
        tifffile.imwrite(file, values, description=about.decode(), metadata=None, photometric="minisblack")
        return file.getvalue()
    png, text = _png(values), b"tEXt" + _KEYWORD + about
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    return png[:_AFTER_HEADER] + chunk + png[_AFTER_HEADER:]


def save_picture(path: Path, picture: NDArray[Any]) -> None:
    """Write a revealed picture, uint8 or uint16, as PNG, atomically."""
    write_atomically(path, _png(picture))


def _png(values: NDArray[Any]) -> bytes:
    done, encoded = cv2.imencode(".png", _swapped(values))
    if not done:
        raise ProtectedFileError(f"values of shape {values.shape} could not be encoded as PNG")
    return bytes(encoded.tobytes())


def _swapped(values: NDArray[Any]) -> NDArray[Any]:
    """Return RGB as OpenCV's BGR, and the other way round."""
    if values.ndim == 2 or values.shape[2] == 1:
        return values
    return np.ascontiguousarray(values[:, :, [2, 1, 0, 3][: values.shape[2]]])


def is_protected(path: Path) -> bool:
    """Tell whether a file says that it is a protected picture."""
    try:
        return _about(path.read_bytes()) is not None
    except OSError:
        return False


def load_protected(path: Path, key: Key | None = None) -> tuple[Protected, dict[str, Any]]:
    """Return a protected picture and its scheme's parameters; inverse of :func:`save_protected`.

    Parameters
    ----------
    path : Path
    key : Key, optional
        The one that protected it: the tag is checked, too. Files of version 1 have none.

    Raises
    ------
    ProtectedFileError, WrongKeyError
        Naming the file, if it is none, is damaged or was changed, or another key protected it.
    """
    content = path.read_bytes()
    about = _about(content)
    if about is None:
        raise ProtectedFileError(f"{path}: no protected picture; `shufflecam protect` makes them")
    try:
        said = json.loads(about)
        if said["format"] not in FORMATS:
            raise ProtectedFileError(f"{path}: format {said['format']!r}, and this version reads {', '.join(FORMATS)}")
        with quiet_decoders(path):
            values = _decode(content)
        protected = Protected(
            values=values,
            nonces=tuple(bytes.fromhex(nonce) for nonce in said["nonces"]),
            shape=tuple(int(side) for side in said["shape"]),
            scheme=str(said["scheme"]),
            key_id=said["key_id"],
            dtype=None if said["dtype"] is None else np.dtype(str(said["dtype"])),
        )
        parameters = {str(name): value for name, value in said["parameters"].items()}
        _check(path, said, protected.values, key)
        return protected, parameters
    except WrongKeyError as error:
        raise WrongKeyError(f"{path}: {error}") from None
    except ShuffleCamError:
        raise
    except Exception as error:  # whatever a damaged file makes the decoders raise
        raise ProtectedFileError(f"{path}: this protected picture is damaged") from error


def _about(content: bytes) -> bytes | None:
    """Return the JSON object of a protected picture, or None where there is none."""
    if content.startswith(_SIGNATURE):
        at = _AFTER_HEADER
        while at + 12 <= len(content):
            size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
            text = content[at + 8 : at + 8 + size]
            if kind == b"tEXt" and text.startswith(_KEYWORD):
                return text[len(_KEYWORD) :]
            at += 12 + size
        return None
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            description = str(file.pages.first.description)
    except Exception:  # no TIFF, or none that can be read: either way none of ours
        return None
    return description.encode() if FORMATS[0][:-1] in description else None


def _decode(content: bytes) -> NDArray[Any]:
    if not content.startswith(_SIGNATURE):
        values: NDArray[Any] = tifffile.imread(io.BytesIO(content))
        return values
    decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if decoded is None:
        raise ValueError("no pixels")
    return _swapped(decoded)


def reveal_protected(path: Path, key: Key) -> NDArray[Any]:
    """Return the plain picture of a protected one, uint8 or uint16, shape (H, W) or (H, W, C).

    Raises
    ------
    ShuffleCamError
        Naming the file, if it is damaged, was protected with another key, or cannot be undone.
    """
    protected, parameters = load_protected(path, key)
    try:
        return scheme(protected.scheme, key=key, **parameters).reveal(protected)
    except ShuffleCamError as error:
        raise type(error)(f"{path}: {error}") from None
    except TypeError as error:
        raise ProtectedFileError(f"{path}: its parameters are not those of scheme {protected.scheme!r}") from error
