"""``python -m mrlspk``: the same as the ``mrlspk`` command."""

from mrlspk.cli.app import main

main()
