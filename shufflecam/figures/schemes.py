"""Rows of a sheet for published protections: plain, protected under each key, revealed, and with a wrong key."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrambler import Key, Protected, Scheme, SchemeError, ShuffleCamError
from shufflecam.figures.sheets import Panel
from shufflecam.named_scheme import named_scheme


def stretched(values: NDArray[Any], full_scale: float | None = None) -> NDArray[np.float32]:
    """Return a picture's values for the eye, in [0, 1].

    Parameters
    ----------
    values : array, shape (H, W) or (H, W, C)
        Of more than three channels the first three are shown; of two, the first.
    full_scale : float, optional
        What is white. By default that of 8 and 16 bits; other types are stretched between their 0.5th and 99.5th
        percentiles.

    Examples
    --------
    >>> stretched(np.array([[0, 255]], np.uint8)).tolist()
    [[0.0, 1.0]]
    """
    if values.ndim == 3:
        values = values[:, :, 0] if values.shape[2] < 3 else values[:, :, :3]
    if full_scale is None and values.dtype in (np.uint8, np.uint16):
        full_scale = float(np.iinfo(values.dtype).max)
    if full_scale is not None:
        return np.clip(values / np.float32(full_scale), 0, 1).astype(np.float32)
    low, high = np.percentile(values, [0.5, 99.5])
    shown: NDArray[np.float32] = np.clip((values - low) / max(high - low, 1e-30), 0, 1).astype(np.float32)
    return shown


def scheme_rows(
    picture: NDArray[np.unsignedinteger],
    schemes: Sequence[str],
    keys: Sequence[Key],
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[list[Panel]]:
    """Return one row a scheme, for :func:`draw_sheet`.

    Parameters
    ----------
    picture : uint8 or uint16 array, shape (H, W) or (H, W, 3)
    schemes : sequence of str
        Names, as `shufflecam schemes` lists them.
    keys : sequence of Key
        Each gives a protected panel; the first also reveals.
    parameters : mapping of name to parameters, optional
        Of schemes that are not to have their defaults.

    Raises
    ------
    SchemeError
        If there is no such scheme or parameter, or no key.
    ShuffleCamError
        If a scheme does not take this picture.
    """
    if not keys:
        raise SchemeError("protected panels need a key: give one, or several")
    rows: list[list[Panel]] = []
    for name in schemes:
        chosen = dict((parameters or {}).get(name, {}))
        panels: list[Panel] = [("plain", stretched(picture))]
        protected = []
        for number, key in enumerate(keys):
            card = named_scheme(name, key, chosen).card
            if number and not card.keyed:
                panels.append((f"{name} has no key", None))
                continue
            one = named_scheme(name, key if card.keyed else None, chosen).protect(picture)
            protected.append(one)
            under = f", key {key.id[:8]}" if card.keyed else ""
            panels.append((f"{name} ({card.strength}){under}", stretched(one.values)))
        right = named_scheme(name, keys[0], chosen)
        if not right.card.invertible:
            panels += [("nobody gets it back", None), ("", None)]
        else:
            panels.append(("revealed", stretched(right.reveal(protected[0]))))
            panels.append(_with_wrong_key(name, chosen, protected[0], right))
        rows.append(panels)
    return rows


def _with_wrong_key(name: str, parameters: dict[str, Any], protected: Protected, right: Scheme) -> Panel:
    """Return what somebody gets who insists on a wrong key."""
    if not right.card.keyed:
        return ("anybody gets it back", None)
    wrong = named_scheme(name, Key.generate(), parameters)
    nonce = {"nonce": list(protected.nonces)} if len(protected.nonces) > 1 else {}
    if len(protected.nonces) == 1:
        nonce = {"nonce": protected.nonces[0]}  # type: ignore[dict-item]  # bytes for one image, a list for a batch
    try:
        return ("wrong key", stretched(wrong.reveal(protected.values, shape=protected.shape, **nonce)))
    except ShuffleCamError:
        return ("a wrong key is refused", None)
