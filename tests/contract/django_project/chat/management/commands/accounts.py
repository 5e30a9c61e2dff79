"""What the tests let Django do with its users."""

from django.contrib.auth.models import Group, Permission, User
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("action", choices=["create", "show", "delete"])
        parser.add_argument("username")
        parser.add_argument("password", nargs="?")
        parser.add_argument("permissions", nargs="*")

    def handle(self, action, username, password, permissions, **options):
        getattr(self, action)(username, password, permissions)

    def create(self, username, password, permissions):
        """A staff user who has the first permission, and the others through a group."""
        user = User.objects.create_user(username, password=password, is_staff=True)
        wanted = [Permission.objects.get(codename=name) for name in permissions]
        user.user_permissions.set(wanted[:1])
        group = Group.objects.create(name=f"with {username}")
        group.permissions.set(wanted[1:])
        user.groups.add(group)

    def show(self, username, password, permissions):
        user = User.objects.get(username=username)
        # Without setter, so that Django does not hash it anew.
        from django.contrib.auth.hashers import check_password

        chat = sorted(name for name in user.get_all_permissions() if name.startswith("chat."))
        self.stdout.write(f"{check_password(password, user.password)} {user.is_superuser} {chat}")

    def delete(self, username, password, permissions):
        User.objects.get(username=username).delete()
