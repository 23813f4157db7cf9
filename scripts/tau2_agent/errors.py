"""Errors for people: what whoever runs the pipeline can mend.

`cli.run` prints such an error as one line and exits with status 2; anything else is a mistake of
this project and keeps its traceback. The message says what is wrong, where, and what to do. Each
package has its own kinds; they all come from here.
"""


class PipelineError(Exception):
    """Something that whoever runs the pipeline can mend; the message says how."""


class InputError(PipelineError):
    """What was asked for cannot be: an option, a file, a combination of them."""
