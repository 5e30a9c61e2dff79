"""A Django project with nothing but the chat application, over the file or the postgresql:// URL in
CHAT_DB."""

import os
from urllib.parse import urlsplit

SECRET_KEY = "for tests only"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "chat"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["CHAT_DB"]}}
if os.environ["CHAT_DB"].startswith("postgresql:"):
    url = urlsplit(os.environ["CHAT_DB"])
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path[1:],
        "USER": url.username,
        "PASSWORD": url.password,
        "HOST": url.hostname,
        "PORT": url.port,
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
