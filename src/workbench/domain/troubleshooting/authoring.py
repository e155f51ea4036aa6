"""Having a model write a step, and looking at what it wrote before anybody is asked (7.7)."""

from collections.abc import Sequence

import msgspec

from workbench.domain.playbooks.confidence import Thresholds
from workbench.domain.playbooks.steps import Step, manual_step
from workbench.domain.troubleshooting.generating import GeneratingService
from workbench.domain.troubleshooting.generations import Generation
from workbench.domain.troubleshooting.shaping import says_the_same, shaped
from workbench.domain.troubleshooting.sourcing import Supply
from workbench.domain.troubleshooting.writers import Situation, StepWriter, WrittenStep
from workbench.domain.usage.accumulating import Accumulator


class Authored(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a model wrote, and what it says besides of the problem, and of a text that was to be understood."""

    step: Step
    problem_summary: str | None = None
    problem_domain: str | None = None
    meant_option: str | None = None


class StepAuthor:
    """Has models write steps."""

    def __init__(self, generating: GeneratingService, writer: StepWriter, thresholds: Thresholds) -> None:
        self._generating = generating
        self._writer = writer
        self._thresholds = thresholds

    async def write(
        self, generation: Generation, situation: Situation, supply: Supply, asked_before: Sequence[str]
    ) -> Authored:
        """Have a step written, outside any block, for a use that is reserved. Raises ProviderError.

        What says the same as a step before is written once more, and then left to the person.
        """

        async def ask(model: str, spent: Accumulator) -> WrittenStep | None:
            written = await self._writer.write(model, situation, spent)
            if not _is_repeated(written, situation, asked_before):
                return written
            once_more = msgspec.structs.replace(situation, unwanted=(*situation.unwanted, written.prompt))
            written = await self._writer.write(model, once_more, spent)
            return None if _is_repeated(written, situation, asked_before) else written

        written = await self._generating.ask(generation, ask)
        if written is None:
            return Authored(step=manual_step())
        return Authored(
            step=shaped(
                written, situation.sources, self._thresholds, support=supply.support, answered=len(asked_before)
            ),
            problem_summary=written.problem_summary,
            problem_domain=written.problem_domain,
            meant_option=written.meant_option if situation.asked else None,
        )


def _is_repeated(written: WrittenStep, situation: Situation, asked_before: Sequence[str]) -> bool:
    """Whether it asks what was asked; where it says what a text meant, it asks nothing."""
    is_meant = situation.asked is not None and written.meant_option is not None
    return not is_meant and says_the_same(written.prompt, asked_before)
