"""What a block pool keeps besides the blocks of running requests: turns of sessions, and prefixes that requests share."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Kept", "Shared"]


@dataclass(eq=False, slots=True)
class Kept:
    """Blocks that nobody uses now, kept for later.

    Attributes:
        blocks: how many; `tokens` of context in them (of a session: in all, its prefix included).
        session: the conversation they are of, None for a shared prefix.
        shared: of a session: the prefix that its context begins with, None if it shares none; else the prefix itself.
    """

    blocks: int
    tokens: int
    session: tuple[str, int] | None
    shared: Shared | None

    @property
    def pinned(self) -> bool:
        """Whether sessions kept for later rest on this prefix: it goes after them."""
        return self.session is None and self.shared is not None and self.shared.pins > 0


@dataclass(eq=False, slots=True)
class Shared:
    """The full blocks of a prompt's beginning, held once for all that use them.

    Attributes:
        name: which beginning.
        blocks: full blocks; `tokens` in them.
        users: running requests that use it; `pins`: sessions kept for later that do.
        kept: the prefix as an entry of what is kept, while it has no users.
    """

    name: str
    blocks: int
    tokens: int
    users: int = 0
    pins: int = 0
    kept: Kept = field(init=False)

    def __post_init__(self) -> None:
        self.kept = Kept(self.blocks, self.tokens, None, self)
