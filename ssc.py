"""The door: one `ssc` command that mounts what each room offers through the entry points `ssc.commands`."""

import sys
from importlib.metadata import entry_points

import typer


def main() -> None:
    """Run `ssc`; only the room whose command was asked for is loaded."""
    offered = sorted(entry_points(group="ssc.commands"), key=lambda entry: entry.name)
    asked = [entry for entry in offered if entry.name in sys.argv[1:2]]
    app = typer.Typer(
        no_args_is_help=True, pretty_exceptions_enable=False, help="社保卡终端 · Social security card terminal"
    )
    app.callback()(lambda: None)
    for entry in asked or offered:
        command = entry.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=entry.name)
        else:
            app.command(entry.name)(command)
    app()


if __name__ == "__main__":
    main()
