"""EMVA 1288: a measurement as JSON, as a table and as figures."""

import io
import math
from pathlib import Path

import numpy as np

from scrambler.files import write_atomically
from sensor.emva1288 import EmvaMeasurement, EmvaReport

_UNITS = {
    "gain_dn_per_e": ("system gain K", "DN/e-"),
    "quantum_efficiency": ("quantum efficiency", "e-/p"),
    "dark_noise_e": ("temporal dark noise", "e-"),
    "dsnu_e": ("DSNU", "e-"),
    "prnu_percent": ("PRNU", "%"),
    "saturation_capacity_e": ("saturation capacity", "e-"),
    "linearity_error_percent": ("linearity error", "%"),
    "dark_current_e_per_s": ("dark current", "e-/s"),
    "dsnu_row_e": ("DSNU between rows", "e-"),
    "dsnu_column_e": ("DSNU between columns", "e-"),
    "dsnu_pixel_e": ("DSNU of photosites", "e-"),
    "prnu_row_percent": ("PRNU between rows", "%"),
    "prnu_column_percent": ("PRNU between columns", "%"),
    "prnu_pixel_percent": ("PRNU of photosites", "%"),
    "snr_max": ("largest signal-to-noise ratio", ""),
    "sensitivity_threshold_p": ("absolute sensitivity threshold", "p"),
    "dynamic_range": ("dynamic range", ""),
}


def emva_rows(measured: EmvaMeasurement) -> list[tuple[str, str, str, str, str]]:
    """Return the lines of the table: figure, unit, measured, true, and the relative difference in percent.

    The last two are empty for a measurement without truth, and the last where the truth is 0.
    """
    rows = []
    truth = measured.truth if isinstance(measured, EmvaReport) else None
    for name, (title, unit) in _UNITS.items():
        value = getattr(measured, name)
        true = math.nan if truth is None else getattr(truth, name)
        off = 100 * (value / true - 1) if true else math.nan
        rows.append((title, unit, _digits(value), _digits(true), f"{off:+.2f}" if math.isfinite(off) else ""))
    return rows


def _digits(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else ""


def save_emva_report(measured: EmvaMeasurement, folder: str | Path, title: str) -> None:
    """Write ``emva1288.json``, ``emva1288.txt`` and ``emva1288.png`` into a folder, each in one step.

    Parameters
    ----------
    measured : EmvaMeasurement
        See :func:`sensor.measure_emva1288`.
    folder : str or Path
        Must exist.
    title : str
        What was measured.
    """
    where = Path(folder)
    write_atomically(where / "emva1288.json", measured.to_json().encode() + b"\n")
    write_atomically(where / "emva1288.txt", _table(measured, title).encode())
    write_atomically(where / "emva1288.png", emva_png(measured, title))


def _table(measured: EmvaMeasurement, title: str) -> str:
    head = ("figure", "unit", "measured", "true", "off by %")
    lines = [head, *emva_rows(measured)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([f"EMVA 1288: {title}", "", *text]) + "\n"


def emva_png(measured: EmvaMeasurement, title: str) -> bytes:
    """Return a PNG: photon transfer, SNR, linearity, the parts of DSNU and PRNU, and the spectrograms of both."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"EMVA 1288: {title}")
    (transfer_axes, snr_axes, linearity_axes), (parts_axes, dark_axes, half_axes) = figure.subplots(2, 3)
    transfer = measured.transfer
    signal, shot = transfer.signal_dn, transfer.shot_variance_dn2
    transfer_axes.plot(signal, shot, ".", label="measured")
    transfer_axes.plot(signal, measured.gain_dn_per_e * signal, "-", label=f"K = {measured.gain_dn_per_e:.4g} DN/e-")
    transfer_axes.set(xlabel="mean above dark, DN", ylabel="variance above dark, DN^2", title="photon transfer")
    lit = (transfer.photons > 0) & (transfer.variance_dn2 > 0) & (signal > 0)
    photons = transfer.photons[lit]
    electrons = measured.quantum_efficiency * photons
    noise = np.sqrt(measured.dark_noise_e**2 + 1 / (12 * measured.gain_dn_per_e**2) + electrons)
    snr_axes.loglog(photons, signal[lit] / np.sqrt(transfer.variance_dn2[lit]), ".", label="measured")
    snr_axes.loglog(photons, electrons / noise, "-", label="from the figures")
    snr_axes.loglog(photons, np.sqrt(photons), ":", label="ideal sensor")
    snr_axes.set(xlabel="photons a photosite", ylabel="signal to noise", title="SNR")
    used = lit & (transfer.photons <= transfer.photons[transfer.saturation])
    slope = measured.gain_dn_per_e * measured.quantum_efficiency
    linearity_axes.plot(
        transfer.photons[used], 100 * (signal[used] / (slope * transfer.photons[used]) - 1), ".-", label="measured"
    )
    linearity_axes.set(xlabel="photons a photosite", ylabel="off the line, %", title="linearity")
    names = ("row", "column", "pixel")
    parts_axes.bar(np.arange(3) - 0.2, [getattr(measured, f"dsnu_{n}_e") for n in names], 0.4, label="DSNU, e-")
    parts_axes.bar(np.arange(3) + 0.2, [getattr(measured, f"prnu_{n}_percent") for n in names], 0.4, label="PRNU, %")
    parts_axes.set_xticks(range(3), ["between rows", "between columns", "photosites"])
    parts_axes.set_title("where the patterns lie")
    for axes, stack, name in ((dark_axes, measured.dark, "DSNU"), (half_axes, measured.half, "PRNU")):
        for label, spectrum in (("along rows", stack.row_spectrum_dn), ("along columns", stack.column_spectrum_dn)):
            axes.semilogy(np.linspace(0, 0.5, len(spectrum))[1:], np.maximum(spectrum[1:], 1e-6), label=label)
        axes.set(xlabel="cycles a photosite", ylabel="DN", title=f"spectrogram, {name}")
    for axes in figure.axes:
        axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
