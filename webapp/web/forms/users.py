"""The forms of the accounts: a new user, another role, another password."""

from __future__ import annotations

from wtforms import PasswordField, SelectField, StringField
from wtforms.validators import InputRequired

from webapp.domain.states import Role
from webapp.web.forms.base import Form, options

REQUIRED = InputRequired("Fill this in.")
ROLES = options(
    (Role.VIEWER.value, "viewer: sees everything"),
    (Role.OPERATOR.value, "operator: runs, pauses, stops"),
    (Role.EDITOR.value, "editor: makes and changes jobs"),
    (Role.ADMIN.value, "admin: users, secrets, audit"),
)
_NEW = {"autocomplete": "new-password"}


class UserForm(Form):
    name = StringField("Name", [REQUIRED], description="They log in with it.", render_kw={"autocomplete": "off"})
    password = PasswordField("Password", [REQUIRED], description="At least 8 characters.", render_kw=_NEW)
    role = SelectField("Role", choices=ROLES, default=Role.VIEWER.value)


class RoleForm(Form):
    role = SelectField("Role", choices=ROLES, validate_choice=False)


class ResetForm(Form):
    new = PasswordField(
        "New password", [REQUIRED], description="At least 8 characters. All of their sessions end.", render_kw=_NEW
    )
