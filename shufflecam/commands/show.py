"""``shufflecam show``: what each party sees of a frame, and what there is to see of order, values, keys, networks."""

from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shufflecam.commands.options import DryRun, FailFast, Jobs, Model, Resume, Scheduler, Sensor

if TYPE_CHECKING:
    from shufflecam.inputs import Input
    from shufflecam.verbs.show import Show

_MOST_ROWS = 8


def show(
    inputs: Annotated[
        list[Path], typer.Argument(help="Pictures, RAW frames, videos, or folders of them.", metavar="IN...")
    ],
    out: Annotated[
        Path,
        typer.Option("--out", help="One figure, PNG, PDF or SVG; or a folder for a figure of each.", metavar="FIGURE"),
    ],
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", help="Key file of the frames; several for a sheet of schemes.", metavar="FILE"),
    ] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="views, mosaic, order, statistics, wrong-keys, features, schemes, or noise: all inputs in one curve.",
        ),
    ] = "views",
    scheme_names: Annotated[
        list[str] | None,
        typer.Option("--scheme", help="Draw this published protection (--kind schemes); can be given again."),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--param", help="A parameter of the schemes, or SCHEME:NAME=VALUE of one of them.", metavar="NAME=VALUE"
        ),
    ] = None,
    model: Model = "cifar10-airbench94",
    layer: Annotated[
        str, typer.Option("--layer", help="Whose maps --kind features draws; default: the first convolution.")
    ] = "",
    figure_format: Annotated[str, typer.Option("--format", help="In a folder: png, pdf or svg.")] = "png",
    sensor: Sensor = "imx477",
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    resume: Resume = True,
    dry_run: DryRun = False,
    fail_fast: FailFast = False,
) -> None:
    """Draw each frame as the plain picture, as the camera delivers it, with the key and with a wrong key.

    A picture is captured first, of a video the first one, under the key given or a fresh one. A shuffled frame shows
    what its file gives: without --key only the shuffled view. A name without an ending is a folder, for one figure of
    each input.

    Other kinds draw the mosaic in its filters' colours, the readout order over the sensor, histograms and neighbours
    before and after, more wrong keys, a network's maps in shuffled order, published protections, or how labels hold
    as the light goes. All but "mosaic" of a shuffled frame need its key; what they draw is as secret as the picture.

    Example: shufflecam show shuffled/cat.jpg.dng --key door.key --out cat.png
    """
    from shufflecam.commands.running import is_job, report, run
    from shufflecam.figures.style import FORMATS
    from shufflecam.inputs import PICTURES, RAW_FILES, VIDEOS, expand
    from shufflecam.jobs import JobKey, Settings
    from shufflecam.jobs.work import file_or_name
    from shufflecam.named_scheme import named_scheme
    from shufflecam.parameters import scheme_parameters
    from shufflecam.usage import UsageError, usage
    from shufflecam.verbs.show import KINDS, MANY_KEYS, Show

    schemes = tuple(scheme_names or ())
    kind = "schemes" if schemes and kind == "views" else kind
    if kind not in KINDS:
        raise UsageError(f"--kind {kind!r} is not known; choose one of {', '.join(KINDS)}")
    if (kind == "schemes") != bool(schemes):
        raise UsageError("--kind schemes and --scheme NAME go together: name the schemes to draw")
    if len(key or ()) > 1 and kind not in MANY_KEYS:
        raise UsageError(f"--kind {kind} takes one --key; several make a sheet of schemes")
    if layer and kind != "features":
        raise UsageError("--layer names whose maps --kind features draws; give both")
    single = bool(out.suffix) and not out.is_dir()
    if single and out.suffix.lower() not in FORMATS:
        raise UsageError(f"{out}: a figure is PNG, PDF or SVG; give a name that ends so, or a folder's")
    if f".{figure_format}" not in FORMATS:
        raise UsageError(f"--format {figure_format!r} is none of png, pdf and svg")
    with usage():
        parameters = scheme_parameters(param or [], schemes)
        for scheme, values in parameters:
            named_scheme(scheme, None, dict(values))
    name, digest = file_or_name(sensor)
    network, network_hash = file_or_name(model) if kind in ("features", "noise") else ("", "")
    keys = [JobKey.of(path) for path in key or ()]
    work = Show(
        key=keys[0] if keys else None, more_keys=tuple(keys[1:]), sensor=name, sensor_hash=digest, kind=kind,
        schemes=schemes, scheme_parameters=parameters, model=network, model_hash=network_hash, layer=layer,
        ending=f".{figure_format}",
    )  # fmt: skip
    wanted = {"schemes": PICTURES | RAW_FILES, "noise": PICTURES}.get(kind, PICTURES | RAW_FILES | VIDEOS)
    if kind == "noise":
        if not single:
            raise UsageError(f"{out}: --kind noise draws all inputs as one figure; give a name that ends in .png")
        _noise(work, expand(inputs, wanted), out)
    elif single:
        _one_figure(work, expand(inputs, wanted), out)
    else:
        others = Counter[str]()
        items = expand(inputs, wanted, skip=out, others=others)
        settings = Settings(
            jobs=jobs, scheduler=scheduler, overwrite=not resume, dry_run=dry_run, fail_fast=fail_fast,
            manifest=is_job(inputs, out),
        )  # fmt: skip
        report(run(work, items, out, settings), f"figures in {out}", others)


def _one_figure(work: "Show", items: "list[Input]", out: Path) -> None:
    """Draw all inputs into one figure: a row each where the kind allows it."""
    from shufflecam.console import stdout
    from shufflecam.figures import FigureError, save_figure
    from shufflecam.inputs import folder_of, named
    from shufflecam.verbs.show import SHEETS

    most = _MOST_ROWS if work.kind in SHEETS else 1
    if len(items) > most:
        raise FigureError(
            f"{len(items)} frames do not fit one figure; give {most} or fewer, or a folder's name as --out"
        )
    draw = work.drawer()
    with named(items[0].path) if most == 1 else nullcontext():
        figure = draw([item.path for item in items])
    with folder_of(out):
        save_figure(out, figure)
    stdout.print(f"wrote {out}")


def _noise(work: "Show", items: "list[Input]", out: Path) -> None:
    """Draw how the labels of all inputs hold as the light goes."""
    from rich.progress import Progress

    from scrambler import Key
    from sensor import Camera
    from shufflecam.chain import Labeller
    from shufflecam.console import print_table, stderr, stdout
    from shufflecam.figures import agreement_against_light, draw_accuracy, save_figure
    from shufflecam.inputs import folder_of

    secret = Key.generate() if work.key is None else work.key.load()
    with Progress(console=stderr, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("labelling", total=len(items))
        curves = agreement_against_light(
            [item.path for item in items], Camera(work.sensor), Labeller.load(work.model), secret,
            on_picture=lambda done, total: progress.update(task, completed=done),
        )  # fmt: skip
    print_table(
        ("same label at", *(f"{level:g} ms" for level in curves[0].levels)),
        [(curve.name, *(f"{100 * share:.0f} %" for share in curve.accuracies)) for curve in curves],
    )
    said = "share of labels as in full light, plain"
    with folder_of(out):
        save_figure(out, draw_accuracy(curves, "exposure in ms: noise grows to the right", said, log=True))
    stdout.print(f"wrote {out}")
