"""All commands, in the order in which help shows them."""

from vmixjax.cli import audit, demo, mix, unmix, verify, vfe
from vmixjax.command_line import Command

COMMANDS: dict[str, Command] = {
    "vfe": vfe.COMMAND,
    "mix": mix.COMMAND,
    "unmix": unmix.COMMAND,
    "verify": verify.COMMAND,
    "audit": audit.COMMAND,
    "demo": demo.COMMAND,
}
