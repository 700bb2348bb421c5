"""The errors that a user can mend; anything else that is raised is a bug of ours."""


class LabError(Exception):
    """Something outside the program is wrong: a file, a name, a setting, a full disk.

    The message names the thing, says what was wrong with it and what to do. The command line prints it
    without a traceback; a notebook cell shows it as its last line.
    """


class UnknownNameError(LabError):
    """A name that is not in a list of known names (a model, a method, a profile, a data set, …)."""

    def __init__(self, kind: str, name: object, known):
        self.kind, self.name, self.known = kind, name, sorted(map(str, known))
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(self.known) or 'none'}")

    def __reduce__(self):  # to travel between processes
        return type(self), (self.kind, self.name, self.known)
