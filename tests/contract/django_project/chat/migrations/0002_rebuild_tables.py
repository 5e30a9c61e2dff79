"""Changes that make Django build both tables anew and copy the rows: what a later release of such a
project may do to a file that holds turns."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0001_initial")]

    operations = [
        migrations.AddField("ChatSession", "note", models.TextField(null=True)),
        migrations.AddField("Message", "language", models.CharField(max_length=5, null=True)),
        migrations.AlterField(
            "ChatSession", "user_phone", models.CharField(blank=True, max_length=40, null=True)
        ),
    ]
