"""Figures of the rarer effects; every default turns its effect off."""

from dataclasses import dataclass

READ_NOISES = ("gauss", "tukey")


@dataclass(frozen=True, kw_only=True)
class EffectFigures:
    """What a sensor does beyond shot noise, Gaussian read noise and white fixed patterns.

    Attributes
    ----------
    hot_pixel_fraction, hot_pixel_e_per_s : float
        Share of photosites with more dark current, and the mean of the exponential distribution of that surplus, at
        the reference temperature; a share of 0 is off. See :mod:`sensor.hot_pixels`.
    defect_fraction : float
        Share of photosites that are dead or stuck, half each; 0 is off. See :mod:`sensor.defects`.
    parasitic_light_share, storage_dark_e_per_s : float
        Sensitivity to light of a global shutter's storage node, as a share of the photodiode's, and its dark current
        at the reference temperature; 0 is off, and so are both with a rolling shutter. See
        :mod:`sensor.storage_leakage`.
    full_well_knee : float
        Share of the full well at which the response begins to bend, 0 to 1; 1 is off. See :mod:`sensor.full_well`.
    blooming_fraction : float
        Share of the charge beyond the full well that spills along the column; 0 is off. See :mod:`sensor.blooming`.
    cds : bool
        Correlated double sampling: the reset level is read too and subtracted, which cancels reset noise.
    reset_noise_e : float
        kTC noise of the pixel's reset; 0 is off, and so is it with ``cds``. See :mod:`sensor.reset_noise`.
    read_noise_kind : str
        ``"gauss"``: ``read_noise_e`` and ``converter_noise_dn`` hold. ``"tukey"``: the two figures below instead.
    tukey_scale_e, tukey_scale_dn, tukey_lambda : float
        Scale of Tukey-lambda read noise before and behind the amplifier, and its shape, above -0.5.
        See :mod:`sensor.tukey_noise`.
    rts_fraction, rts_amplitude_e : float
        Share of photosites with random telegraph noise, and the mean of the exponential distribution of their steps;
        0 is off. See :mod:`sensor.telegraph_noise`.
    row_noise_e, row_noise_dn : float
        Noise that all converters share at the moment a row is read, before and behind the amplifier; 0 is off.
    column_offset_e, column_gain_percent : float
        Spread of the offsets and of the gains of the columns' circuits; 0 is off.
    banding_noise_e, banding_hz : float
        Root-mean-square and frequency of a hum that follows the readout's clock; 0 e- is off.
    ramp_curvature_dn : float
        Largest deviation of a single-slope converter's ramp from a straight line, in codes; 0 is off.
    capacitor_mismatch_percent : float
        Spread of a SAR converter's unit capacitors, column by column; 0 is off.
    """

    hot_pixel_fraction: float = 0.0
    hot_pixel_e_per_s: float = 0.0
    defect_fraction: float = 0.0
    parasitic_light_share: float = 0.0
    storage_dark_e_per_s: float = 0.0
    full_well_knee: float = 1.0
    blooming_fraction: float = 0.0
    cds: bool = True
    reset_noise_e: float = 0.0
    read_noise_kind: str = "gauss"
    tukey_scale_e: float = 0.0
    tukey_scale_dn: float = 0.0
    tukey_lambda: float = 0.0
    rts_fraction: float = 0.0
    rts_amplitude_e: float = 0.0
    row_noise_e: float = 0.0
    row_noise_dn: float = 0.0
    column_offset_e: float = 0.0
    column_gain_percent: float = 0.0
    banding_noise_e: float = 0.0
    banding_hz: float = 0.0
    ramp_curvature_dn: float = 0.0
    capacitor_mismatch_percent: float = 0.0


EFFECT_RANGES: dict[str, tuple[float, float]] = {
    "hot_pixel_fraction": (0, 1),
    "hot_pixel_e_per_s": (0, 1e9),
    "defect_fraction": (0, 1),
    "parasitic_light_share": (0, 1),
    "storage_dark_e_per_s": (0, 1e9),
    "full_well_knee": (0, 1),
    "blooming_fraction": (0, 1),
    "reset_noise_e": (0, 1e4),
    "tukey_scale_e": (0, 1e4),
    "tukey_scale_dn": (0, 1e4),
    "tukey_lambda": (-0.45, 2),
    "rts_fraction": (0, 1),
    "rts_amplitude_e": (0, 1e4),
    "row_noise_e": (0, 1e4),
    "row_noise_dn": (0, 1e4),
    "column_offset_e": (0, 1e5),
    "column_gain_percent": (0, 15),
    "banding_noise_e": (0, 1e4),
    "banding_hz": (0, 1e9),
    "ramp_curvature_dn": (-64, 64),
    "capacitor_mismatch_percent": (0, 20),
}
"""Smallest and largest value of each figure that is a number."""
