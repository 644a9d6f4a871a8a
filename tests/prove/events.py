"""What can go wrong: an event of a schedule is made from its seed, says what it does, and strikes a scene."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

from tests.prove.scene import Scene


@dataclass(frozen=True)
class Plan:
    """What an event may choose from: which CRMs there are, and how many daemons."""

    crms: tuple[str, ...]
    daemons: int


class Event(ABC):
    """Something that goes wrong.

    Attributes:
        name: in the table of what was tried.
        weight: how often it is chosen, beside the others.
        is_setting: it is true from the beginning, instead of happening at a time.
        needs_heir: another daemon has to be there, who takes over.
        needs_small_disk: the database has to lie where there is little room.
        counts_itself: it tells by `scene.tell` whether it has struck; others always have.
        permits: what the end may show because of it: `cancelled` rows, `reconnect`.
    """

    name: ClassVar[str]
    weight: ClassVar[int] = 2
    is_setting: ClassVar[bool] = False
    needs_heir: ClassVar[bool] = False
    needs_small_disk: ClassVar[bool] = False
    counts_itself: ClassVar[bool] = False
    permits: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    @abstractmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        """One of this kind."""

    def prepare(self, scene: Scene) -> None:  # noqa: B027 - few have to
        """What has to be so from the beginning."""

    @abstractmethod
    def strike(self, scene: Scene) -> None:
        """Do it; what undoes it is left to `scene.later`."""

    @abstractmethod
    def __str__(self) -> str:
        """In one line."""
