# An empty folder for the answers of this run.
file(REMOVE_RECURSE "$ENV{TWINCHAT_ANSWERS}")
file(MAKE_DIRECTORY "$ENV{TWINCHAT_ANSWERS}")
