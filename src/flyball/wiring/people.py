"""The people of a project who have a token by name."""

from flyball.adapters.entropy import fresh_token
from flyball.adapters.token import NAMED, file_of, give_token, holders, of_name, one_at_a_time, refuse_name, take_token
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
        with one_at_a_time(self._home.state_dir):
            refuse_name(self._home.state_dir, holder)
            # Written down first: what was begun and never done is no right that nobody knows of.
            world = world_of(self._home, say_nothing)
            world.record(draft(world.now(), "token.given", _subject(holder), {"role": role}, actor=actor))
            give_token(self._home.state_dir, holder, fresh_token)
        return self._told(holder)

    def remove(self, name: str, actor: str) -> tuple[TokenReport, ...]:
        """Take away all that this person has. Raises NotFound."""
        found = of_name(self._home.state_dir, name)
        if not found:
            raise NotFound(f"nobody has a token by the name of {name[:80]!r}", next_step="flyball token list")
        # Taken away first, whatever becomes of the ledger.
        for each in found:
            take_token(self._home.state_dir, each)
        world = world_of(self._home, say_nothing)
        now = world.now()
        world.record(*(draft(now, "token.taken", _subject(each), {"role": each.role.value}, actor=actor) for each in found))
        return tuple(TokenReport(name=each.name, role=each.role, file="") for each in found)

    def _told(self, holder: Holder) -> TokenReport:
        return TokenReport(name=holder.name, role=holder.role, file=str(self._home.state_dir / file_of(holder)))


def _subject(holder: Holder) -> str:
    return f"person:{holder.name}"
