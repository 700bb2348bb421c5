"""What the wheel takes from outside of the package; hatchling calls this."""

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class RecordedResults(BuildHookInterface):
    """Puts ``results`` into the wheel as ``labkit/recorded``; an editable installation reads the folder itself."""

    def initialize(self, version: str, build_data: dict) -> None:
        """Called before a wheel is built; ``version`` is ``standard`` or ``editable``."""
        if version == "standard":
            build_data["force_include"]["results"] = "labkit/recorded"
