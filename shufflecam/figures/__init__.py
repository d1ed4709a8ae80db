"""Figures: what each party sees, as pictures fit for print; PNG, PDF or SVG, told by the file's ending.

* :func:`draw_sheet`: panels side by side, with histograms if asked; :func:`scheme_rows`: one row a scheme, for one or
  many keys;
* :func:`draw_mosaics`: RAW mosaics in the colours of their filters; :func:`draw_readout_order`: the order drawn over
  the sensor;
* :func:`draw_statistics`: histograms and neighbours before and after; :func:`draw_wrong_keys`: what wrong keys give;
* :func:`draw_feature_maps`: a network's maps, shuffled and natural; :func:`draw_accuracy`: accuracy against noise,
  which :func:`accuracy_against_noise` and :func:`agreement_against_light` measure;
* :func:`save_figure`: to a file, atomically; :func:`write_figure`: a sheet to a file in one call;
* :func:`entropy_bits`, :func:`neighbour_correlation`, :func:`psnr_db`, :func:`ssim`: the numbers beside them.

Colours are those of Okabe and Ito and the map "cividis", which colour-blind readers tell apart; lines differ in their
dashes too. Text is set in DejaVu Sans, which matplotlib brings; characters that it lacks are shown as escapes.
"""

from shufflecam.figures.accuracy import AccuracyCurve, accuracy_against_noise, draw_accuracy
from shufflecam.figures.agreement import agreement_against_light
from shufflecam.figures.feature_maps import draw_feature_maps, keyed_feature_maps
from shufflecam.figures.measures import entropy_bits, neighbour_correlation, psnr_db, ssim
from shufflecam.figures.mosaics import draw_mosaics, mosaic_colours
from shufflecam.figures.readout_order import draw_readout_order
from shufflecam.figures.schemes import scheme_rows, stretched
from shufflecam.figures.sheets import Panel, draw_sheet, write_figure
from shufflecam.figures.statistics import colour_planes, draw_statistics
from shufflecam.figures.style import FORMATS, PALETTE, FigureError, save_figure
from shufflecam.figures.wrong_keys import draw_wrong_keys

__all__ = [
    "FORMATS",
    "PALETTE",
    "AccuracyCurve",
    "FigureError",
    "Panel",
    "accuracy_against_noise",
    "agreement_against_light",
    "colour_planes",
    "draw_accuracy",
    "draw_feature_maps",
    "draw_mosaics",
    "draw_readout_order",
    "draw_sheet",
    "draw_statistics",
    "draw_wrong_keys",
    "entropy_bits",
    "keyed_feature_maps",
    "mosaic_colours",
    "neighbour_correlation",
    "psnr_db",
    "save_figure",
    "scheme_rows",
    "ssim",
    "stretched",
    "write_figure",
]
