"""What the tests let Django's ORM do with the file."""

from chat.models import ChatSession, Message
from django.core.management.base import BaseCommand
from django.utils import timezone


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("action", choices=["create", "add", "dump", "delete"])
        parser.add_argument("session_id", nargs="?")
        parser.add_argument("texts", nargs="*")

    def handle(self, action, session_id, texts, **options):
        getattr(self, action)(session_id, texts)

    def create(self, session_id, texts):
        ChatSession.objects.create(session_id=session_id, user_name="Jané", user_phone="")
        self.add(session_id, texts)

    def add(self, session_id, texts):
        """Question and answer in turn."""
        session = ChatSession.objects.get(session_id=session_id)
        for i, text in enumerate(texts):
            Message.objects.create(session=session, content=text, is_bot=i % 2 == 1)

    def delete(self, session_id, texts):
        ChatSession.objects.get(session_id=session_id).delete()

    def dump(self, session_id, texts):
        """A line for the session, then its messages in the order of the models."""
        session = ChatSession.objects.get(session_id=session_id)
        self.say(session.session_id, session.user_name, session.user_email, session.user_phone)
        self.say(session.created_at, session.updated_at)
        for message in session.messages.all():
            self.say(message.content, message.is_bot, message.created_at)
        assert all(m.created_at <= timezone.now() for m in session.messages.all())

    def say(self, *values):
        # A time has to have come back as one, with its zone.
        texts = [v.isoformat() if hasattr(v, "isoformat") else repr(v) for v in values]
        self.stdout.write(" ".join(texts))
