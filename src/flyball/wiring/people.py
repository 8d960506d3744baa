"""The people of a project who have a token by name."""

from flyball.adapters.entropy import fresh_token
from flyball.adapters.token import NAMED, file_of, give_token, holders, refuse_name, take_token
from flyball.control.reports import TokenReport
from flyball.control.world import draft
from flyball.errors import Fault, NotFound, RequestError
from flyball.records.permissions import Holder, Role
from flyball.wiring.worlds import Home, say_nothing, world_of


class People:
    """Safe to call from several processes."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def rows(self) -> tuple[TokenReport, ...]:
        """By name."""
        return tuple(self._told(each) for each in sorted(holders(self._home.state_dir), key=lambda each: each.name))

    def add(self, name: str, role: str, actor: str) -> TokenReport:
        """Give a person a token. Raises RequestError, Conflict where that person has one."""
        if role not in NAMED:
            raise RequestError([Fault("--role", repr(role[:40]), " or ".join(NAMED))])
        holder = Holder(Role(role), name)
        self._home.keep_private()
        refuse_name(self._home.state_dir, holder)
        # Written down first: what was begun and never done is no right that nobody knows of.
        world = world_of(self._home, say_nothing)
        world.record(draft(world.now(), "token.given", _subject(holder), {"role": role}, actor=actor))
        give_token(self._home.state_dir, holder, fresh_token)
        return self._told(holder)

    def remove(self, name: str, actor: str) -> TokenReport:
        """Take it away. Raises NotFound."""
        holder = next((each for each in holders(self._home.state_dir) if each.name == name), None)
        if holder is None:
            raise NotFound(f"nobody has a token by the name of {name[:40]!r}", next_step="flyball token list")
        # Taken away first, whatever becomes of the ledger.
        take_token(self._home.state_dir, holder)
        world = world_of(self._home, say_nothing)
        world.record(draft(world.now(), "token.taken", _subject(holder), {"role": holder.role.value}, actor=actor))
        return TokenReport(name=holder.name, role=holder.role, file="")

    def _told(self, holder: Holder) -> TokenReport:
        return TokenReport(name=holder.name, role=holder.role, file=str(self._home.state_dir / file_of(holder)))


def _subject(holder: Holder) -> str:
    return f"person:{holder.name}"
