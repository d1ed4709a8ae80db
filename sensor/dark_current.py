"""Dark current: electrons that heat frees, light or no light."""


def dark_current(
    rate_e_per_s: float, *, temperature_k: float, reference_k: float, doubling_k: float, exposure_s: float
) -> float:
    r"""Return the mean dark signal of an exposure, in electrons.

    .. math:: \mu_d = D\, 2^{(T - T_\mathrm{ref}) / T_\mathrm{dbl}}\, t

    Parameters
    ----------
    rate_e_per_s : float
        Dark current D at ``reference_k``, in electrons a second; 0 turns the effect off.
    temperature_k, reference_k, doubling_k : float
        Sensor temperature, the temperature D was measured at, and the rise that doubles it; in kelvin.
    exposure_s : float
        Exposure time.

    Returns
    -------
    float
        Mean electrons a photosite. Source: EMVA 1288 release 4.0, dark current model.

    Examples
    --------
    >>> dark_current(2.0, temperature_k=307.0, reference_k=300.0, doubling_k=7.0, exposure_s=0.5)
    2.0
    """
    return float(rate_e_per_s * 2.0 ** ((temperature_k - reference_k) / doubling_k) * exposure_s)
