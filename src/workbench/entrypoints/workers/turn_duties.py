"""All that goes on about turns beside requests."""

from workbench.entrypoints.workers.attending import AttendanceWorker
from workbench.entrypoints.workers.reaping import ReapingWorker
from workbench.entrypoints.workers.shortening import ShorteningWorker


class TurnDuties:
    """The workers that look after turns."""

    def __init__(self, reaping: ReapingWorker, attending: AttendanceWorker, shortening: ShorteningWorker) -> None:
        self.all = (reaping, attending, shortening)
