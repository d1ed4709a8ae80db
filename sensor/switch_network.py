"""The analogue multiplexer: what sending a pixel's voltage to another column's converter does to it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensor.counter_rng import NoiseSource, Stream
from sensor.errors import CaptureError
from sensor.reset_noise import capacitor_noise_v


@dataclass(frozen=True, kw_only=True)
class SwitchNetwork:
    r"""A Benes network of pass gates between the column lines and the sample capacitors of the converters.

    With W columns a signal passes :math:`S = 2\lceil\log_2 W\rceil - 1` switches in series, and settles with

    .. math:: \tau = S R\,(C + S C_\mathrm{par}), \qquad \varepsilon = e^{-t / \tau}

    (resistances and parasitics lumped: docs, sensor, section 4.2). What is left of the voltage that the same capacitor
    held before, the share :math:`\varepsilon`, is added; opening the switch freezes the noise :math:`\sqrt{k_B T / C}`
    and injects a charge of its own.

    Attributes
    ----------
    hold_f : float
        Sample capacitor C, in farads; ``inf`` turns its noise off.
    switch_ohm : float
        Resistance R of a closed switch.
    parasitic_f : float
        Capacitance of one switch's wires.
    settle_s : float
        Time t that the switches stay closed; ``inf`` turns settling off.
    injection_e : float
        Spread of the injected charge between capacitors, referred to the pixel in electrons; 0 turns it off.

    Examples
    --------
    >>> network = SwitchNetwork()
    >>> network.stages(4056), round(1e9 * network.time_constant_s(4056), 1)
    (23, 25.6)
    """

    hold_f: float = 1e-12
    switch_ohm: float = 1000.0
    parasitic_f: float = 5e-15
    settle_s: float = 0.5e-6
    injection_e: float = 0.5

    def __post_init__(self) -> None:
        for name in ("hold_f", "switch_ohm", "parasitic_f", "settle_s", "injection_e"):
            value = getattr(self, name)
            # NaN fails the comparison, so it is refused too.
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise CaptureError(f"{name} of a switch network must be a number, 0 or more, got {value!r}")
        if self.hold_f == 0:
            raise CaptureError("hold_f of a switch network must be above 0; inf turns its noise off")

    @staticmethod
    def stages(columns: int) -> int:
        """Return the number of switches in series between a column line and a converter."""
        return max(0, 2 * math.ceil(math.log2(columns)) - 1)

    def time_constant_s(self, columns: int) -> float:
        """Return the time constant of settling; an infinite hold capacitor counts as one of 1 pF."""
        stages = self.stages(columns)
        hold = self.hold_f if math.isfinite(self.hold_f) else 1e-12
        return stages * self.switch_ohm * (hold + stages * self.parasitic_f)

    def memory(self, columns: int) -> float:
        """Return the share of the previous voltage that is left after settling."""
        constant = self.time_constant_s(columns)
        return 0.0 if constant == 0 else math.exp(-self.settle_s / constant)

    def settling_time_s(self, columns: int, bit_depth: int) -> float:
        r"""Return the time that settles to half a code of the full range, :math:`(N + 1) \tau \ln 2`."""
        return (bit_depth + 1) * math.log(2) * self.time_constant_s(columns)

    def closed_s(self, columns: int, bit_depth: int) -> float:
        """Return how long the switches stay closed; with settling off, as long as half a code takes."""
        return self.settle_s if math.isfinite(self.settle_s) else self.settling_time_s(columns, bit_depth)

    def noise_e(self, temperature_k: float, conversion_gain_v_per_e: float) -> float:
        """Return the sample capacitors' noise, referred to the pixel."""
        return capacitor_noise_v(self.hold_f, temperature_k) / conversion_gain_v_per_e

    def settled(self, charge_e: NDArray[np.float32], before: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        r"""Return what the capacitors hold after each row of the readout.

        .. math:: h_{y,x} = v_{y,x} + \varepsilon\,(h_{y-1,x} - v_{y,x}), \qquad h_{-1,x} = 0

        Parameters
        ----------
        charge_e : ndarray of float32, shape (H, W)
            Signal in slot order, rows of the readout one after the other.
        before : ndarray of float32, shape (W,), optional
            What the capacitors held before the first of these rows; nothing by default.

        Returns
        -------
        ndarray of float32, shape (H, W)
            The input itself when off.
        """
        share = np.float32(self.memory(charge_e.shape[1]))
        if share == 0:
            return charge_e
        held = np.empty_like(charge_e)
        if before is None:
            before = np.zeros(charge_e.shape[1], np.float32)
        for y in range(charge_e.shape[0]):
            before = held[y] = charge_e[y] + share * (before - charge_e[y])
        return held

    def sampled(
        self, charge_e: NDArray[np.float32], noise: NoiseSource, *, temperature_k: float, conversion_gain_v_per_e: float
    ) -> NDArray[np.float32]:
        """Return the signal with the capacitors' noise and their injected charge; the input itself when both are off.

        Parameters
        ----------
        charge_e : ndarray of float32, shape (H, W)
            Signal in slot order, whole rows.
        noise : NoiseSource
            Random numbers of these slots in this frame.
        temperature_k, conversion_gain_v_per_e : float
            Temperature, and volts an electron makes at the column.
        """
        spread = self.noise_e(temperature_k, conversion_gain_v_per_e)
        height, width = charge_e.shape
        if spread != 0:
            charge_e = charge_e + np.float32(spread) * noise.normals(Stream.SWITCH_RESET, (height, width))
        if self.injection_e != 0:
            columns = NoiseSource(seed=noise.seed).normals(Stream.SWITCH_INJECTION, (1, width), fixed=True)
            charge_e = charge_e + np.float32(self.injection_e) * columns
        return charge_e
