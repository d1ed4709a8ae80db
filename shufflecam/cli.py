"""The command ``shufflecam``: one verb each in ``shufflecam.commands``, errors as one line on standard error."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

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

# Typer has no public name for the base of its errors.
_WrongCommandLine: type[Exception] = typer.BadParameter.__bases__[0]


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
) -> None:
    if version:
        typer.echo(f"shufflecam {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; default: those of the process.

    Returns
    -------
    int
        0 if all went well, 1 for an error that the one line on standard error explains, 2 for wrong usage
        (:mod:`shufflecam.usage`), 3 if some inputs of several failed and the rest are done.
    """
    try:
        # Not standalone: then it raises what it would print on several lines.
        status = app(args=None if argv is None else list(argv), prog_name="shufflecam", standalone_mode=False)
    except _WrongCommandLine as error:
        return _misused(error)
    except typer.Abort:  # what typer makes of EOFError
        return _fail("the input ended too early")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return _fail(f"{named}{error.strerror or error}")
    except ValueError as error:
        # Imported here, because the scrambler loads what --help can do without.
        from scrambler.errors import ShuffleCamError
        from shufflecam.usage import UsageError

        if not isinstance(error, ShuffleCamError):
            raise
        return _fail(str(error), 2 if isinstance(error, UsageError) else 1)
    return status if isinstance(status, int) else 0


def _fail(reason: str, status: int = 1) -> int:
    print(f"shufflecam: {reason}", file=sys.stderr)
    return status


def _misused(error: Any) -> int:
    """Tell what typer refuses, in one line as every other error."""
    said = " ".join(error.format_message().split())
    verb = error.ctx.command_path if error.ctx is not None else "shufflecam"
    return _fail(f"{said[:1].lower()}{said[1:].rstrip('.')}; `{verb} --help` tells what it takes", 2)
