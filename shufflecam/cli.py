"""The command ``shufflecam``: one verb each in ``shufflecam.commands``, errors as one line on standard error."""

import sys
from collections.abc import Callable, Sequence

import typer

from shufflecam import __version__
from shufflecam.commands import (
    capture,
    chart,
    demo,
    emulate,
    emva,
    evaluate,
    keygen,
    label,
    live,
    models,
    open_sealed,
    protect,
    raw,
    readout,
    report,
    reveal,
    rtl,
    schemes,
    seal,
    sensors,
    show,
    stream,
    train,
)  # fmt: skip

app = typer.Typer(
    name="shufflecam",
    help="A camera that shuffles its pixels under a secret key, and networks that read such frames.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo.demo, "keygen": keygen.keygen, "capture": capture.capture, "label": label.label,
    "reveal": reveal.reveal, "protect": protect.protect, "show": show.show, "report": report.report, "seal": seal.seal,
    "open": open_sealed.open_sealed, "schemes": schemes.schemes, "sensors": sensors.sensors, "models": models.models,
    "chart": chart.chart, "readout": readout.readout, "emva": emva.emva, "evaluate": evaluate.evaluate,
    "train": train.train, "live": live.live, "emulate": emulate.emulate, "rtl": rtl.rtl, "raw": raw.raw,
    "stream": stream.stream,
}  # fmt: skip
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
) -> None:
    if version:
        typer.echo(f"shufflecam {__version__}")
        raise typer.Exit


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; default: those of the process.

    Returns
    -------
    int
        0 if all went well, 1 for an error that the one line on standard error explains, 2 for wrong usage,
        3 if some inputs of several failed and the rest are done.
    """
    try:
        app(args=None if argv is None else list(argv), prog_name="shufflecam")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _fail(f"{named}{error.strerror or error}")
    except ValueError as error:
        # Imported here, because the scrambler loads what --help can do without.
        from scrambler.errors import ShuffleCamError

        if not isinstance(error, ShuffleCamError):
            raise
        return _fail(str(error))
    return 0


def _fail(reason: str) -> int:
    print(f"shufflecam: {reason}", file=sys.stderr)
    return 1
