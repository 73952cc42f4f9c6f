"""Who asks for a change, and from where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from webapp.domain.errors import Forbidden
from webapp.domain.states import Role

Via = Literal["web", "api", "cli", "engine", "code"]


@dataclass(frozen=True)
class Actor:
    """The one who asks: a person's browser, a token, a command, or Carillon itself."""

    name: str
    role: Role
    via: Via
    address: str | None = None
    user_id: int | None = None

    def require(self, role: Role) -> None:
        """Raise Forbidden unless this actor's role includes ``role``."""
        if not self.role.includes(role):
            raise Forbidden(f"This needs the role {role.value}; {self.name} is {self.role.value}.")


ENGINE = Actor("carillon", Role.ADMIN, "engine")
