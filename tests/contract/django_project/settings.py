"""A Django project with nothing but the chat application, over the file in CHAT_DB."""

import os

SECRET_KEY = "for tests only"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "chat"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["CHAT_DB"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
